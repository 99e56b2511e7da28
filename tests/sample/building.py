"""Builds the sample extension for the CPU with its CMakeLists.txt; tests share one build of each state of its sources."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "csrc"
CACHE = ROOT / "build" / "sample"
COMMANDS = CACHE / "cmake" / "compile_commands.json"
# The same numbers soon: little optimisation, and the headers that all legacy units include compiled once.
QUICK = (
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG",
    f"-DCMAKE_PROJECT_samplex_INCLUDE={Path(__file__).with_name('prefix.cmake')}",
)
_LEFT_OUT = {"build", "__pycache__", "dist", "segments"}  # csrc/segments is a package of its own


def sample_files() -> Iterator[Path]:
    """The files of the sample project, relative to it, without what a build leaves there."""
    for path in sorted(SAMPLE.rglob("*")):
        relative = path.relative_to(SAMPLE)
        if path.is_file() and path.suffix != ".so" and not _LEFT_OUT & set(relative.parts):
            yield relative


def find_program(name: str) -> str | None:
    """Where cmake or ninja is: beside this Python, or on PATH."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)


def configure(source: Path, build: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What `cmake` says when it prepares `build` for ninja, without CUDA. Raises FileNotFoundError without either."""
    cmake, ninja = find_program("cmake"), find_program("ninja")
    if cmake is None or ninja is None:
        raise FileNotFoundError("cmake and ninja are needed")
    command = [cmake, "-S", str(source), "-B", str(build), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    command += [f"-DPython_EXECUTABLE={sys.executable}", "-DSAMPLEX_CUDA=OFF", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def compile_tree(build: Path, *options: str) -> None:
    """`cmake --build`. Raises RuntimeError with what it printed where something does not compile."""
    command = [find_program("cmake") or "cmake", "--build", str(build), *options]
    _raise_failure(subprocess.run(command, capture_output=True, text=True, check=False))


def build_quickly(source: Path, build: Path, *options: str) -> None:
    """The libraries of `source` in `build`, QUICK. Raises RuntimeError and FileNotFoundError."""
    if not (build / "build.ninja").exists():
        _raise_failure(configure(source, build, *QUICK, *options))
    compile_tree(build)


def _raise_failure(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(done.args)} failed:\n{done.stdout[-8000:]}{done.stderr[-8000:]}")


def build_sample() -> Path:
    """The folder of a copy of the sample in which `import samplex` works. Raises RuntimeError.

    The copy is kept: only units that changed, or whose headers did, are compiled again.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    tree, stamp = CACHE / "tree", CACHE / "built"
    state = _state()
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == state):
            _forget_other_torch()
            _copy(tree)
            build_quickly(tree, COMMANDS.parent)
            for library in COMMANDS.parent.glob("_C*.so"):
                shutil.copy2(library, tree / "samplex")
            stamp.write_text(state)
    return tree


def _forget_other_torch() -> None:
    """Configure anew where the build folder was configured for another Python or torch."""
    used, now = COMMANDS.parent / "used", f"{sys.executable} {version('torch')}"
    if not (used.exists() and used.read_text() == now):
        shutil.rmtree(COMMANDS.parent, ignore_errors=True)
        COMMANDS.parent.mkdir(parents=True)
        used.write_text(now)


def _state() -> str:
    digest = hashlib.sha256(f"{sys.executable} {sys.version_info[:2]} {version('torch')}".encode())
    for relative in sample_files():
        digest.update(f"\n{relative}\n".encode())
        digest.update((SAMPLE / relative).read_bytes())
    return digest.hexdigest()


def _copy(tree: Path) -> None:
    """Bring `tree` up to date; files with the same content keep their times, so that ninja leaves them alone."""
    wanted = set(sample_files())
    for relative in wanted:
        source, target = SAMPLE / relative, tree / relative
        if not (target.exists() and target.read_bytes() == source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for path in (tree / "csrc").rglob("*"):
        if path.is_file() and path.relative_to(tree) not in wanted:
            path.unlink()
