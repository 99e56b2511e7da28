#!/usr/bin/env python3
"""How far `scan` and `migrate` are from the floor, which is reading and parsing the bytes.

    python -m tests.bench.bench [TREE] [--group GROUP | --units FILE...] [--repeat N]
    python -m tests.bench.bench --case CASE... [--repeat N]

Each figure is CPU time, the best of N runs, all in this one run: reading and parsing the files with tree-sitter, without
what Python needs to start and to import; the command as a process of its own with its children; and what Python needs
to start and to import the command's modules. A second run of each command, with a clock around the
functions of every stage (stages.py), says where the time goes; that run is slower than the first.

`scan` is held against the parse of every file of the tree, `migrate` against that of the files it changes. A CASE is one
of tests/replay: the release before a hand migration, and the units that were migrated.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from tests.replay.cases import SOURCES, read_cases
from tests.replay.releases import Store

CPP = (".cpp", ".cc", ".cxx", ".c++")
CUDA_AND_HEADERS = (".cu", ".cuh", ".h", ".hpp", ".hh", ".hxx", ".inc", ".inl")
REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from torch_stabilize.cli.main import main; main()"]
IMPORTS = "import tree_sitter, tree_sitter_cpp, tree_sitter_cuda"
# Imports of everything a verb needs; what is left of its time is work.
VERB_IMPORTS = {
    "scan": "import torch_stabilize.cli.workspace, torch_stabilize.program.scan, torch_stabilize.explain, torch_stabilize.report.scan_terminal, "
    "torch_stabilize.program.groups; torch_stabilize.explain.all_codes()",
    "migrate": "import torch_stabilize.cli.workspace, torch_stabilize.migration.plan, torch_stabilize.explain, torch_stabilize.report.terminal, "
    "torch_stabilize.program.groups; torch_stabilize.explain.all_codes()",
}
PARSE = f"""
{IMPORTS}, sys, time
from tree_sitter import Language, Parser
cpp, cuda = (Parser(Language(g.language())) for g in (tree_sitter_cpp, tree_sitter_cuda))
paths = sys.stdin.read().split("\\0")
before = time.process_time()
for path in paths:
    with open(path, "rb") as file:
        (cpp if path.endswith({CPP!r}) else cuda).parse(file.read())
print(time.process_time() - before)
"""


@dataclass(frozen=True)
class Cost:
    """What a process took, and what it printed."""

    seconds: float
    megabytes: float
    printed: str


def cost(command: Sequence[str], cwd: Path, given: str = "") -> Cost:
    """The CPU time, user and system, and the peak memory of `command`. Exit code 1 (findings) is fine."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "codemod")}
    with TemporaryFile() as words, TemporaryFile() as printed, TemporaryFile() as error:
        words.write(given.encode())
        words.seek(0)
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=words, stdout=printed, stderr=error)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        error.seek(0)
        if process.returncode not in (0, 1):
            raise SystemExit(f"{' '.join(command)} failed:\n{error.read().decode()}")
        return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, printed.read().decode("utf-8", "replace"))


def sources(tree: Path) -> list[str]:
    """The C++ and CUDA files of `tree` that git knows and that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
    )
    named = (name for name in listed.stdout.split("\0") if name.endswith((*CPP, *CUDA_AND_HEADERS)))
    return sorted(name for name in named if (tree / name).is_file())


def output_of(arguments: Sequence[str], tree: Path) -> dict[str, object]:
    """The JSON that the tool prints."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--json"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "codemod")},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    document: dict[str, object] = json.loads(done.stdout)
    return document


def largest_group(tree: Path) -> str:
    """The suggested group with the most sites."""
    groups = output_of(["scan"], tree)["groups"]
    assert isinstance(groups, list)
    if not groups:
        raise SystemExit(f"no group to migrate in {tree}")
    return str(max(groups, key=lambda group: group["sites"])["name"])


def changed_files(tree: Path, names: Sequence[str]) -> list[str]:
    """The C++ and CUDA files that a migration of `names` changes."""
    files = output_of(["migrate", *names], tree)["files"]
    assert isinstance(files, list)
    top = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"], cwd=tree, check=True, capture_output=True, text=True
    ).stdout.strip()
    old = [row["old"] for row in files if row["old"]]
    return [os.path.join(top, name) for name in old if name.endswith((*CPP, *CUDA_AND_HEADERS))]


@dataclass(frozen=True)
class Limit:
    """What a command may cost: so many parses of its files, and seconds beside; None for `start`: its own start-up."""

    parses: float
    start: float | None = None
    megabytes: float | None = None


SCAN = Limit(parses=4, megabytes=400)
MIGRATE = Limit(parses=12, start=0.5)


def stages(arguments: Sequence[str], tree: Path) -> dict[str, float]:
    """Seconds of CPU by stage."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("stages.py")), *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "codemod")},
        check=True,
        capture_output=True,
        text=True,
    )
    spent: dict[str, float] = json.loads(done.stdout)
    return spent


def compare(name: str, arguments: Sequence[str], files: Sequence[str], tree: Path, repeat: int, limit: Limit) -> None:
    """Print one command beside the parse of its files."""
    size = sum((tree / file).stat().st_size for file in files)
    python = [sys.executable, "-c"]
    parses, commands, starts = [], [], []
    for _ in range(repeat):  # one after the other, as a machine is not equally fast at all times
        parses.append(cost([*python, PARSE], tree, "\0".join(files)))
        commands.append(cost([*COMMAND, *arguments], tree))
        starts.append(cost([*python, VERB_IMPORTS[arguments[0]]], tree).seconds)
    floor, start = min(float(parse.printed) for parse in parses), min(starts)
    seconds, megabytes = min(one.seconds for one in commands), max(one.megabytes for one in commands)
    allowed = limit.parses * floor + (start if limit.start is None else limit.start)
    plus = "start-up" if limit.start is None else f"{limit.start} s"
    print(f"{name}: {len(files)} files, {size / 1e6:.2f} MB")
    print(f"  bare parse    {floor:7.3f} s CPU  ({parses[0].megabytes:.0f} MB peak)")
    print(f"  {arguments[0]:12}  {seconds:7.3f} s CPU  ({megabytes:.0f} MB peak), {start:.3f} s of it start-up")
    print(f"  ratio         {(seconds - start) / floor:7.2f}        without start-up")
    print(f"  limit         {allowed:7.3f} s CPU  = {limit.parses:g} x parse + {plus}: {_verdict(seconds, allowed)}")
    if limit.megabytes is not None:
        print(f"  memory limit  {limit.megabytes:7.0f} MB: {_verdict(megabytes, limit.megabytes)}")
    for stage, own in sorted(stages(arguments, tree).items(), key=lambda row: -row[1]):
        print(f"    {stage:14} {own:6.3f} s {own / floor:6.2f} x parse")


def _verdict(measured: float, limit: float) -> str:
    return "kept" if measured <= limit else f"exceeded {measured / limit:.1f} times"


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path, nargs="?", default=REPOSITORY / "csrc")
    parser.add_argument("--group", help="group to migrate; the one with the most sites where it is left out")
    parser.add_argument("--units", nargs="+", default=[], help="files to migrate instead of a group")
    parser.add_argument("--repeat", type=int, default=3)
    cases, _ = read_cases()
    parser.add_argument("--case", nargs="+", choices=cases, default=[], help="replayed requests instead of a tree")
    options = parser.parse_args()
    compileall.compile_dir(REPOSITORY / "codemod", quiet=1)  # as pip does; Python may be told not to
    for case in options.case:
        tree = REPOSITORY / "build" / "bench" / case
        Store(Path(os.environ.get("REPLAY_CACHE") or REPOSITORY / "build" / "replay")).lay_out(cases[case].before, tree)
        both(tree, [f"{SOURCES}/{unit}" for unit in cases[case].units], options.repeat)
    if not options.case:
        tree = options.tree.resolve()
        both(tree, options.units or [options.group or largest_group(tree)], options.repeat)


def both(tree: Path, names: Sequence[str], repeat: int) -> None:
    """Compare `scan` of `tree` and `migrate` of `names` in it."""
    compare(f"scan {tree.name}", ["scan"], sources(tree), tree, repeat, SCAN)
    title = f"migrate {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    compare(title, ["migrate", *names], changed_files(tree, names), tree, repeat, MIGRATE)


if __name__ == "__main__":
    main()
