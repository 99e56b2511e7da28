"""Migrate every group of the sample, one after another, and show how the count of unstable symbols falls.

    python tests/sample/series.py FOLDER [GROUP...] [--shuffle SEED]

Without groups `torch-stabilize series --commit` takes all, in its own order; --shuffle takes them in the order that SEED
gives, one `migrate --commit` each. FOLDER is made anew: a copy of the sample as a repository of its own. At each commit
CMake and ninja build both libraries for the CPU, torch-abi-audit looks at their symbols, and the golden cases of the
group, whose outputs the legacy library gave before the first step, run on them. After the last step those of all do.

Headers of torch that all legacy units include are compiled once. Where ccache is installed, stable units that another
order compiled already are not compiled again.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "codemod")]

from tests.sample.building import build_quickly  # noqa: E402  # the repository is not installed

LEGACY, STABLE = "_C", "_C_stable_libtorch"
AUTHOR = {f"GIT_{who}_{what}": "series" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class Row:
    """The libraries after one step: the unstable symbols of each, and its units."""

    step: str
    legacy: int
    stable: int | None
    legacy_units: int
    stable_units: int


class Series:
    """One copy of the sample, and where it is built."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.build = folder / "samplex", folder / "build"

    def prepare(self, groups: Sequence[str]) -> None:
        """Copy the sample, commit it, build it and record what it does."""
        ignored = shutil.ignore_patterns("build", "__pycache__", "*.so", "segments")
        shutil.copytree(REPOSITORY / "csrc", self.tree, ignore=ignored)
        cases = shutil.ignore_patterns("*.py", "*.json", "*.safetensors")
        shutil.copytree(REPOSITORY / "golden", self.tree / "golden", ignore=cases)
        self._run("git", "init", "--quiet")
        self._commit("The legacy extension")
        self._build()
        for group in groups:
            self._tool("golden", "record", group, *self._loaded())
        self._commit("What the legacy extension does")

    def migrate(self, group: str) -> None:
        """Migrate and commit `group`, build both libraries and run the group's cases on them."""
        self._tool("migrate", group, "--commit")
        self._build()
        self.check(group)

    def commits(self) -> list[tuple[str, str]]:
        """Let the command commit every step: each commit with its group."""
        start = self._run("git", "rev-parse", "HEAD").strip()
        self._tool("series", "--commit", allowed=(0, 1))  # the all-reduce for AMD GPUs stays
        lines = self._run("git", "log", "--reverse", "--format=%H %s", f"{start}..HEAD").splitlines()
        return [(line.split()[0], line.split()[2]) for line in lines]

    def check_out(self, commit: str, group: str) -> None:
        """Build both libraries at a commit and run the group's cases on them."""
        self._run("git", "checkout", "--quiet", commit)
        self._build()
        self.check(group)

    def check(self, group: str) -> None:
        """The golden cases of `group`, bit for bit. Raises CalledProcessError where they differ."""
        self._tool("golden", "check", group, *self._loaded())

    def row(self, step: str) -> Row:
        """What stands now."""
        units = [str(path) for path in self.tree.glob("csrc/**/*.c*") if path.suffix in (".cpp", ".cu")]
        stable_units = sum("libtorch_stable" in path for path in units)
        stable = self._library(STABLE)
        return Row(
            step,
            _unstable(self._library(LEGACY)),
            _unstable(stable) if stable.exists() else None,
            len(units) - stable_units,
            stable_units,
        )

    def _build(self) -> None:
        launcher = shutil.which("ccache")
        build_quickly(self.tree, self.build, *([f"-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}"] if launcher else []))

    def _library(self, name: str) -> Path:
        return next(self.build.glob(f"{name}.*so"), self.build / f"{name}.so")

    def _loaded(self) -> list[str]:
        found = [library for library in map(self._library, (LEGACY, STABLE)) if library.exists()]
        return [word for library in found for word in ("--library", str(library))]

    def _commit(self, message: str) -> None:
        self._run("git", "add", "--all")
        self._run("git", "commit", "--quiet", "--allow-empty", "--message", message)

    def _tool(self, *words: str, allowed: Sequence[int] = (0,)) -> None:
        self._run(sys.executable, "-c", "from torch_stabilize.cli.main import main; main()", *words, allowed=allowed)

    def _run(self, *command: str, allowed: Sequence[int] = (0,)) -> str:
        environment = {**os.environ, **AUTHOR, "PYTHONPATH": str(REPOSITORY / "codemod")}
        done = subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in allowed:
            print(done.stdout[-8000:], done.stderr[-8000:], sep="\n", file=sys.stderr)
            done.check_returncode()
        return done.stdout


def _unstable(library: Path) -> int:
    from torch_stabilize.verify.symbols import audit

    return len(audit(library).unstable)


def print_row(row: Row) -> None:
    """One line of the table, as Markdown."""
    stable = "" if row.stable is None else row.stable
    print(f"| {row.step} | {row.legacy} | {stable} | {row.legacy_units} | {row.stable_units} |", flush=True)


def main() -> None:
    """Run the series and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="made anew")
    parser.add_argument(
        "groups", nargs="*", help="groups in the order of their migration; all by default, as `series` orders them"
    )
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="the groups in a random order, always the same one")
    chosen = parser.parse_args()
    groups = chosen.groups or sorted(path.parent.name for path in (REPOSITORY / "golden").glob("*/cases.toml"))
    if chosen.shuffle is not None:
        random.Random(chosen.shuffle).shuffle(groups)
    shutil.rmtree(chosen.folder, ignore_errors=True)
    series = Series(chosen.folder.resolve())
    series.prepare(groups)
    print(f"| migrated | unstable symbols of {LEGACY} | of {STABLE} | units of {LEGACY} | of {STABLE} |")
    print("|---|---|---|---|---|")
    print_row(series.row("nothing"))
    if chosen.groups or chosen.shuffle is not None:
        for group in groups:
            series.migrate(group)
            print_row(series.row(group))
    else:
        for commit, group in series.commits():
            series.check_out(commit, group)
            print_row(series.row(group))
    for group in groups:
        series.check(group)
    print(f"\nThe golden cases of all {len(groups)} groups pass.")


if __name__ == "__main__":
    main()
