"""The flags that a project's own build gives its units: from a compilation database, CMake files or setup.py."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch_stabilize.buildfiles.cmake.evaluate.flags import CUDA, CXX, Machine, TargetFlags, kept_flags, target_flags
from torch_stabilize.buildfiles.setup.evaluate.read import read_setup_file
from torch_stabilize.model import Refusal
from torch_stabilize.verify.side import CUDA_SUFFIX, UnitFlags
from torch_stabilize.verify.toolchain import Toolchain
from torch_stabilize.verify.trees import Tree

# What the sides define themselves.
_OWN = frozenset({"TORCH_EXTENSION_NAME", "TORCH_TARGET_VERSION", "Py_LIMITED_API", "USE_CUDA"})
_OF_CUDA = re.compile(r"CUDA|GPU|NVCC", re.I)
_OF_OTHER_GPU = re.compile(r"HIP\b|HIP_|ROCM|MUSA|XPU|SYCL", re.I)
_NEGATED = re.compile(r"^\s*(?:NOT\b|not\b|!)")
_IS_NONE = re.compile(r"\bis None\)*\s*$")
_RELEASE = re.compile(r"release (\d+\.\d+)")
# The chips that wheels are built for, as far as a compiler knows them.
_CHIPS = ("75", "80", "86", "89", "90a", "100a", "120a")
DATABASES = ("compile_commands.json", "build/compile_commands.json")
_VALUED = frozenset(("-I", "-isystem", "-include", "-D", "-U", "-o", "-MF", "-MT", "-MQ", "-x"))


@dataclass(frozen=True)
class ProjectFlags:
    """What the build files of one tree say. `database` is a compilation database, with the folder that it is of."""

    tree: Tree
    tools: Toolchain
    database: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, library: str, units: Iterable[str]) -> UnitFlags:
        """The flags of the `units` of the library called `library`."""
        units = tuple(units)
        if any(unit in self.database for unit in units):
            own = {unit: self.database[unit] for unit in units if unit in self.database}
            shared = _shared(own.values())  # for units that the database does not have
            return UnitFlags(own={unit: own.get(unit, shared) for unit in units})
        with_cuda, without = self._cmake(self.tools.nvcc is not None), self._cmake(False)
        linked = with_cuda if self.tools.links_cuda else without
        if library in with_cuda or library in without:
            gpu = with_cuda.get(library) or without[library]
            host = linked.get(library)
            own = {
                unit: _not_own(_by_source(gpu if unit.endswith(CUDA_SUFFIX) else host or gpu, unit)) for unit in units
            }
            return UnitFlags(
                _not_own(host.flags[CXX]) if host is not None else (),
                _not_own(gpu.flags[CUDA]),
                _not_own(gpu.flags[CXX]),
                {unit: flags for unit, flags in own.items() if flags},
            )
        gpu_flags = self._setup(library, True)
        return UnitFlags(self._setup(library, self.tools.links_cuda), gpu_flags, gpu_flags)

    def _cmake(self, with_cuda: bool) -> dict[str, TargetFlags]:
        snapshot = self.tree.snapshot
        path = posixpath.normpath(posixpath.join(self.tree.layout.project_root, "CMakeLists.txt"))
        if not snapshot.exists(path):
            return {}
        machine = machine_of(self.tools) if with_cuda else Machine(self.tools.torch.version)
        return snapshot.once((ProjectFlags, path, machine), lambda: target_flags(snapshot, path, machine))

    def _setup(self, library: str, with_cuda: bool) -> tuple[str, ...]:
        found: list[str] = []
        for path in self.tree.layout.setup_files:
            for one in read_setup_file(self.tree.snapshot, path).entries:
                if one.entry.name == library and is_in_build(one.entry.when, with_cuda):
                    found += [
                        f"-D{name}={value}" if value else f"-D{name}"
                        for name, value, when in one.macros
                        if is_in_build(when, with_cuda)
                    ]
        return _not_own(kept_flags(found))


def is_in_build(conditions: Iterable[str], with_cuda: bool) -> bool:
    """Whether what is under `conditions` is in a build for CUDA or for the CPU; what is about neither, is."""
    for text in conditions:
        other = bool(_OF_OTHER_GPU.search(text))
        if not other and not _OF_CUDA.search(text):
            continue
        is_negated = bool(_NEGATED.match(text)) != bool(_IS_NONE.search(text))
        if (with_cuda and not other) == is_negated:
            return False
    return True


def machine_of(tools: Toolchain) -> Machine:
    """What a build finds here."""
    if tools.nvcc is None:
        return Machine(tools.torch.version)
    try:
        said = subprocess.run([tools.nvcc, "--version"], capture_output=True, text=True, check=False).stdout
        known = subprocess.run([tools.nvcc, "--list-gpu-arch"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return Machine(tools.torch.version)
    release = _RELEASE.search(said)
    numbers = {word.rpartition("_")[2] for word in known.split()}
    chips = tuple(chip for chip in _CHIPS if chip.rstrip("a") in numbers)
    return Machine(tools.torch.version, release[1] if release else "12.0", chips)


def read_database(path: Path, tree: Path) -> dict[str, tuple[str, ...]]:
    """The flags of each unit in a compilation database (`compile_commands.json`, or what `ninja -t compdb` prints).

    Units are named relative to `tree`, or to the folder that all of them have in common where they lie elsewhere.
    Raises Refusal for a file that is none.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        calls = [
            (Path(entry["directory"]) / entry["file"], entry["arguments"] if "arguments" in entry else
             shlex.split(entry["command"]), Path(entry["directory"]))
            for entry in raw
        ]  # fmt: skip
    except OSError as error:
        raise Refusal(f"cannot read {path}: {error.strerror}", exit_code=2) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(f"{path} is no compilation database: {error}", exit_code=2) from error
    return {
        unit: found
        for file, words, folder in calls
        if (unit := _unit(file, tree)) and (found := flags_of_call(words, folder, tree))
    }


def flags_of_call(
    words: Iterable[str], folder: Path, tree: Path, is_made: Callable[[Path], bool] = lambda _: False
) -> tuple[str, ...]:
    """The flags of one compiler call that decide what the code says, and the folders outside of `tree` it searches.

    Those of torch and of Python are left out: the sides have their own. `is_made` tells folders of `tree` that only a
    build makes.
    """
    words = list(words)
    kept = list(_not_own(kept_flags(words)))
    waiting = iter(words)
    for word in waiting:
        for flag in ("-isystem", "-I"):
            if word == flag or (word.startswith(flag) and len(word) > len(flag)):
                text = next(waiting, "") if word == flag else word[len(flag) :]
                place = Path(posixpath.normpath(folder / text))
                if text and (not place.is_relative_to(tree) or is_made(place)) and not _is_of_torch(place):
                    kept += ["-isystem", str(place)]
                break
    return tuple(kept)


def _is_of_torch(place: Path) -> bool:
    return "torch" in place.parts or (place / "Python.h").exists()


def _unit(file: Path, tree: Path) -> str:
    place = Path(posixpath.normpath(file))
    return place.relative_to(tree).as_posix() if place.is_relative_to(tree) else ""


def _by_source(target: TargetFlags, unit: str) -> tuple[str, ...]:
    return target.by_source.get(unit, {}).get(CUDA if unit.endswith(CUDA_SUFFIX) else CXX, ())


def _shared(found: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The flags that all have in common."""
    rows = list(found)
    return tuple(flag for flag in rows[0] if all(flag in row for row in rows)) if rows else ()


def _not_own(flags: Iterable[str]) -> tuple[str, ...]:
    return tuple(flag for flag in flags if flag[2:].partition("=")[0] not in _OWN)
