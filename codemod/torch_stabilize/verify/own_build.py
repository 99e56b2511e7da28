"""The project's own build of a tree, in a copy of it: its compiler calls are recorded, its libraries found."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize.model import Refusal
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES
from torch_stabilize.verify.flags import flags_of_call
from torch_stabilize.verify.golden.modules import module_name
from torch_stabilize.verify.held_signals import held_signals
from torch_stabilize.verify.side import CUDA_SUFFIX

_COMPILERS = ("c++", "g++", "gcc", "cc", "clang++", "clang", "nvcc", "x86_64-linux-gnu-g++", "x86_64-linux-gnu-gcc")
_CUDA_COMPILERS = frozenset(("nvcc", "clang++", "clang"))
# Writes the number of arguments, the folder and the arguments, each with a NUL behind it, and runs the compiler.
_WRAPPER = """#!/bin/sh
printf '%s\\0' "$#" "$PWD" "$@" >> {calls}/$$.{name}
exec {program} "$@"
"""


@dataclass(frozen=True)
class OwnBuild:
    """What a build gave: the flags of each unit, the libraries, and what went wrong ("" for nothing)."""

    flags: dict[str, tuple[str, ...]]
    libraries: tuple[Path, ...]
    fault: str = ""


def build_by_project(command: str, snapshot: Snapshot, start: str, names: Collection[str], folder: Path) -> OwnBuild:
    """Run the shell command `command` in a copy of the tree, in its folder `start`; `names` are the libraries wanted.

    Everything is written to `folder`: the copy, the calls and a log. Raises Refusal where that cannot be written.
    """
    tree, calls, log = folder / "tree", folder / "calls", folder / "log"
    try:
        shutil.rmtree(calls, ignore_errors=True)
        calls.mkdir(parents=True)
        _copy(snapshot, tree)
        environment = _environment(folder / "bin", calls)
        with log.open("wb") as output:
            code = _run(command, tree / start, environment, output)
    except OSError as error:
        raise Refusal(f"cannot build in {folder}: {error.strerror}") from error
    libraries = tuple(_libraries(tree, names, folder))
    folders = {place for path in snapshot.files for place in (tree / path).parents}
    flags = dict(read_calls(calls, tree, lambda place: place.is_dir() and place not in folders))
    if code:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        return OwnBuild(flags, libraries, f"`{command}` ends with {code}: {' | '.join(last)}")
    missing = sorted(set(names) - {module_name(path) for path in libraries})
    return OwnBuild(flags, libraries, f"`{command}` builds no {', '.join(missing)}" if missing else "")


def read_calls(
    folder: Path, tree: Path, is_made: Callable[[Path], bool] = lambda _: False
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The flags of each unit of `tree`, from what the wrappers wrote; `is_made` tells folders that a build makes."""
    for file in sorted(folder.iterdir()):
        compiler = file.name.partition(".")[2]
        words = file.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
        while words:
            count = int(words[0])
            place, arguments, words = Path(words[1]), words[2 : 2 + count], words[2 + count :]
            for argument in arguments:
                unit = place / argument
                if not argument.endswith(SOURCE_SUFFIXES) or not unit.resolve().is_relative_to(tree.resolve()):
                    continue
                # nvcc hands its units to the C++ compiler too.
                if not argument.endswith(CUDA_SUFFIX) or compiler in _CUDA_COMPILERS:
                    path = unit.resolve().relative_to(tree.resolve()).as_posix()
                    yield path, flags_of_call(arguments, place, tree, is_made)


def unpacked(wheel: Path, names: Collection[str], folder: Path) -> list[Path]:
    """The libraries of a wheel that are called as one of `names`, in `folder`. Raises Refusal for no wheel."""
    found = []
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".so") and module_name(Path(name)) in names:
                    place = folder / Path(name).name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(archive.read(name))
                    found.append(place)
    except (OSError, zipfile.BadZipFile) as error:
        raise Refusal(f"cannot read {wheel}: {error}", exit_code=2) from error
    return found


def _copy(snapshot: Snapshot, tree: Path) -> None:
    """The files of `snapshot`; those that are there and the same are left, for builds go by the time of files.

    What an earlier copy had and the tree has no more is removed, what a build made is kept.
    """
    listed = tree.with_name("copied")
    earlier = listed.read_bytes().split(b"\0") if listed.exists() else []
    for path in snapshot.files:
        place, data = tree / path, snapshot.read(path)
        if place.is_file() and place.read_bytes() == data:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        shutil.copymode(snapshot.root / path, place)
    for gone in {os.fsdecode(name) for name in earlier if name} - set(snapshot.files):
        (tree / gone).unlink(missing_ok=True)
    listed.write_bytes(b"\0".join(map(os.fsencode, snapshot.files)))


def _environment(folder: Path, calls: Path) -> dict[str, str]:
    """The environment of the build: every compiler that it finds by its name records its calls."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = [shlex.split(os.environ.get(name, "") or "c++")[-1] for name in ("CXX", "CC", "NVCC")]
    for name in dict.fromkeys((*_COMPILERS, *(Path(program).name for program in asked))):
        program = shutil.which(name)
        if program is not None:
            wrapper = folder / name
            wrapper.write_text(_WRAPPER.format(calls=shlex.quote(str(calls)), name=name, program=shlex.quote(program)))
            wrapper.chmod(0o755)
    found = {**os.environ, "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", "")])}
    if (folder / "nvcc").exists():  # torch and CMake look for it in the toolkit first
        found |= {"PYTORCH_NVCC": str(folder / "nvcc"), "CUDACXX": str(folder / "nvcc")}
    found.setdefault("SETUPTOOLS_SCM_PRETEND_VERSION", "0.0.0")  # the copy has no history
    for name in ("CXX", "CC"):
        if os.environ.get(name):
            *launcher, program = shlex.split(os.environ[name])
            found[name] = shlex.join([*launcher, str(folder / Path(program).name)])
    return found


def _run(command: str, place: Path, environment: dict[str, str], output: object) -> int:
    process = None
    try:
        with held_signals():
            process = subprocess.Popen(
                command, shell=True, cwd=place, env=environment, stdout=output,  # type: ignore[call-overload]
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        code: int = process.wait()
    except BaseException:
        if process is not None:
            os.killpg(process.pid, 15)  # the shell and all that it started
            process.wait()
        raise
    return code


def _libraries(tree: Path, names: Collection[str], folder: Path) -> Iterator[Path]:
    """The library of each name, the newest where there are several; of wheels too."""
    found: dict[str, Path] = {}
    files = [path for suffix in ("*.so", "*.whl") for path in tree.rglob(suffix) if path.is_file()]
    for path in sorted(files, key=lambda path: path.stat().st_mtime):
        inside = unpacked(path, names, folder / "wheels" / path.stem) if path.suffix == ".whl" else [path]
        found |= {module_name(one): one for one in inside if module_name(one) in names}
    yield from found.values()
