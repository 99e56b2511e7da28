"""One side of a build, as it is asked for and as it came out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

CUDA_SUFFIX = ".cu"
LEGACY, REMAINDER, STABLE = "legacy", "remainder", "stable"  # the roles of sides


class UnitFlags(NamedTuple):
    """The flags of a library's units, by what compiles them; `own` are those of single units, beyond these."""

    host: tuple[str, ...] = ()
    cuda: tuple[str, ...] = ()
    gpu: tuple[str, ...] = ()  # host units of a GPU build
    own: Mapping[str, tuple[str, ...]] = {}


NO_FLAGS = UnitFlags()


@dataclass(frozen=True)
class Side:
    """One library to build: which units of which tree, and with which flags besides those of every side."""

    name: str  # its role, or that and the library's name where several have it: a folder of the build directory
    tree: Path
    library: str  # module name, "_C"
    units: tuple[str, ...]
    flags: tuple[str, ...]  # includes and definitions for the host compiler
    cuda_flags: tuple[str, ...] = ()  # those for nvcc
    link_flags: tuple[str, ...] = ()
    gpu: frozenset[str] = frozenset()  # host units of GPU builds: compiled, not linked
    gpu_flags: tuple[str, ...] = ()  # those for them
    reused: dict[str, Path] = field(default_factory=dict)  # units whose object another side has already
    host_only: frozenset[str] = frozenset()  # units that are compiled for their errors alone, where nothing links them
    device_only: frozenset[str] = frozenset()  # CUDA units for their device code alone, where nothing links them
    prefix: str = ""  # a header that the host units in `prefixed` include, compiled once for all of them
    prefixed: frozenset[str] = frozenset()
    archs: dict[str, str] = field(default_factory=dict)  # the chips of CUDA units that are not for the usual one
    own_flags: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of single units, beyond the others
    is_loaded: bool = True  # False: only some units of a library, for their errors and their device code
    is_look_back: bool = False  # only to know whether units that stayed legacy compiled before the migration

    @property
    def role(self) -> str:
        """Which of LEGACY, REMAINDER and STABLE it is."""
        return self.name.partition("-")[0]


@dataclass(frozen=True)
class BuiltUnit:
    """One unit after the build. `log` is what the compiler said; `ptx` exists for CUDA units that compiled."""

    path: str
    object: Path
    compiled: bool
    log: str
    ptx: Path | None = None
    arch: str = ""  # the chip that a CUDA unit was compiled for


@dataclass(frozen=True)
class BuiltSide:
    """One side after the build; `library` is None where it did not link, with the linker's words in `link_log`."""

    side: Side
    units: tuple[BuiltUnit, ...]
    library: Path | None
    link_log: str = ""
    audited: Path | None = None  # the library to look at symbols in: with the CUDA objects too, linked or not

    @property
    def failed(self) -> tuple[BuiltUnit, ...]:
        """The units that did not compile."""
        return tuple(unit for unit in self.units if not unit.compiled)

    def unit(self, path: str) -> BuiltUnit | None:
        """The unit of that path, if this side has it."""
        return next((unit for unit in self.units if unit.path == path), None)


def sides_of(built: Iterable[BuiltSide], role: str) -> tuple[BuiltSide, ...]:
    """The sides of one role."""
    return tuple(side for side in built if side.side.role == role)


def unit_of(built: Iterable[BuiltSide], role: str, path: str) -> BuiltUnit | None:
    """The unit of that path on a side of that role."""
    return next((unit for side in sides_of(built, role) if (unit := side.unit(path)) is not None), None)


@dataclass(frozen=True)
class BuildOptions:
    """How to build: parallel jobs, language standard, the GPU architecture all CUDA units are compiled for."""

    jobs: int = 0  # 0: one per processor
    standard: str = "c++20"
    cuda_arch: str = ""  # 90a, or what a unit asks for
    optimise: str = "-O2"
