"""The two kinds of side and their flags: legacy sees all of torch, stable sees its stable headers alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize.surface.headers import check_target, installed_version, target_macro
from torch_stabilize.verify.headers import legacy_cuda_headers, nvcc_folders, stable_cuda_headers, stable_tree
from torch_stabilize.verify.result import Finding
from torch_stabilize.verify.side import CUDA_SUFFIX, NO_FLAGS, Side, UnitFlags
from torch_stabilize.verify.toolchain import Toolchain

PY_LIMITED_API = "0x030A0000"  # CPython 3.10, the oldest that current torch runs on


@dataclass(frozen=True)
class Library:
    """One extension library as its build files describe it. Paths are relative to the tree."""

    name: str  # module name, "_C"
    units: tuple[str, ...]
    includes: tuple[str, ...] = ()  # folders
    defines: tuple[str, ...] = ()  # "NAME" or "NAME=value"
    gpu: frozenset[str] = frozenset()  # host units that only a GPU build has, and that cannot be linked here
    flags: UnitFlags = NO_FLAGS  # what the project's own build gives its units


@dataclass(frozen=True)
class HeaderOptions:
    """Where headers come from. `stable` is another torch's include folder for the stable side."""

    extra: tuple[Path, ...] = ()
    stable: Path | None = None


def check_stable_target(target: str, toolchain: Toolchain, headers: HeaderOptions) -> None:
    """Refuse (exit 2) a target that is no version, too old, or newer than the headers of the stable side."""
    check_target(target, installed_version(headers.stable or toolchain.torch.include))


def legacy_side(
    name: str, tree: Path, library: Library, toolchain: Toolchain, folder: Path, headers: HeaderOptions
) -> tuple[Side, tuple[Finding, ...]]:
    """A side that is compiled against all of torch, and notes on headers that are missing here."""
    include = toolchain.torch.include
    flags = [*_project(tree, library), *_system(headers.extra)]
    flags += _system([include, include / "torch/csrc/api/include", toolchain.python_include])
    cuda: list[str] = ["-DUSE_CUDA"]
    diagnostics: tuple[Finding, ...] = ()
    if toolchain.nvcc is not None and _has_cuda(library):
        found = legacy_cuda_headers(include, toolchain.nvcc, folder / "stand_ins", headers.extra)
        cuda += _system(found.folders)
        diagnostics = found.diagnostics
    return _side(name, tree, library, flags, cuda, toolchain, "-ltorch_python"), diagnostics


def stable_side(
    tree: Path, library: Library, toolchain: Toolchain, folder: Path, target: str, headers: HeaderOptions
) -> Side:
    """A side that is compiled for `target` against the stable headers alone.

    The target is one that `check_stable_target` accepts. Raises Refusal where torch has no stable headers.
    """
    include = headers.stable or toolchain.torch.include
    flags = [*_project(tree, library), *_system(headers.extra)]
    flags += _system([stable_tree(include, folder / "stable_include"), toolchain.python_include])
    flags += [f"-DTORCH_TARGET_VERSION={target_macro(target)}", f"-DPy_LIMITED_API={PY_LIMITED_API}"]
    cuda = ["-DUSE_CUDA"]
    if toolchain.nvcc is not None and _has_cuda(library):
        cuda += _system(stable_cuda_headers(toolchain.nvcc, folder / "stand_ins", headers.extra))
    return _side("stable", tree, library, flags, cuda, toolchain)


def _side(
    name: str, tree: Path, library: Library, flags: list[str], cuda: list[str], toolchain: Toolchain, *link: str
) -> Side:
    """Host units see the toolkit's headers where they are part of a CUDA build; nvcc sees them anyway."""
    gpu = [*cuda, *_system(nvcc_folders(toolchain.nvcc))] if toolchain.nvcc is not None and _has_cuda(library) else []
    host = [*flags, *gpu] if toolchain.links_cuda else flags
    own = library.flags
    return Side(
        name,
        tree,
        library.name,
        library.units,
        (*host, *own.host),
        (*flags, *cuda, *own.cuda),
        _link(toolchain, *link),
        gpu=library.gpu,
        gpu_flags=(*flags, *gpu, *own.gpu),
        own_flags=dict(own.own),
    )


def _has_cuda(library: Library) -> bool:
    return bool(library.gpu) or any(unit.endswith(CUDA_SUFFIX) for unit in library.units)


def _project(tree: Path, library: Library) -> list[str]:
    defines = library.defines
    if not any(define.split("=")[0] == "TORCH_EXTENSION_NAME" for define in defines):
        defines = (*defines, f"TORCH_EXTENSION_NAME={library.name}")
    return [*(f"-I{tree / folder}" for folder in library.includes), *(f"-D{define}" for define in defines)]


def _system(folders: Iterable[Path]) -> list[str]:
    return [word for folder in folders for word in ("-isystem", str(folder))]


def _link(toolchain: Toolchain, *more: str) -> tuple[str, ...]:
    """No run path: a library finds torch's libraries because torch is loaded before it, whichever torch that is."""
    cuda = ("-ltorch_cuda", "-lc10_cuda") if toolchain.links_cuda else ()
    return (
        f"-L{toolchain.torch.libraries}",
        "-Xlinker",
        "--no-as-needed",
        "-ltorch",
        "-ltorch_cpu",
        "-lc10",
        *cuda,
        *more,
    )
