"""The compilers, torch and build tools of this machine, found without importing torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize.model import Refusal

LAUNCHERS = ("ccache", "sccache")


@dataclass(frozen=True)
class TorchInstall:
    """An installed torch: its headers and its libraries."""

    version: str
    include: Path
    libraries: Path

    @property
    def has_cuda(self) -> bool:
        """Whether this torch can link CUDA code."""
        return (self.libraries / "libtorch_cuda.so").exists()


@dataclass(frozen=True)
class Toolchain:
    """What builds: None where this machine lacks it. `launcher` is ccache or sccache."""

    cxx: str
    ninja: str
    torch: TorchInstall
    python_include: Path
    nvcc: str | None = None
    launcher: str | None = None

    @property
    def links_cuda(self) -> bool:
        """Whether a GPU build is possible here: there is nvcc, and torch has the libraries that CUDA code links."""
        return self.nvcc is not None and self.torch.has_cuda


def find_torch() -> TorchInstall:
    """The torch of this environment. Raises Refusal where there is none."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise Refusal("torch is not installed: pip install 'torch-stabilize[verify]'")
    root = Path(next(iter(spec.submodule_search_locations)))
    return TorchInstall(importlib.metadata.version("torch"), root / "include", root / "lib")


def find_toolchain(*, cxx: str | None = None, nvcc: str | None = None) -> Toolchain:
    """The tools of this machine; `cxx` and `nvcc` (or $CXX, $NVCC) name others than those on PATH.

    Raises Refusal where the C++ compiler, ninja or torch is missing, and for a name that is no program. Without nvcc,
    CUDA units are left out.
    """
    compiler = _named("CXX", cxx) or _first("c++", "g++", "clang++")
    if compiler is None:
        raise Refusal("no C++ compiler found: install g++ or clang++, or set CXX")
    return Toolchain(
        cxx=compiler,
        ninja=_find_ninja(),
        torch=find_torch(),
        python_include=Path(sysconfig.get_paths()["include"]),
        nvcc=_named("NVCC", nvcc) or _first("nvcc", "/usr/local/cuda/bin/nvcc"),
        launcher=_first("sccache") if os.environ.get("CCACHE_DISABLE") else _first(*LAUNCHERS),
    )


def _find_ninja() -> str:
    found = shutil.which("ninja")
    if found is not None:
        return found
    spec = importlib.util.find_spec("ninja")
    if spec is not None and spec.submodule_search_locations:
        for folder in spec.submodule_search_locations:
            for name in ("ninja", "data/bin/ninja"):
                if os.access(Path(folder) / name, os.X_OK):
                    return str(Path(folder) / name)
    beside = Path(sysconfig.get_path("scripts")) / "ninja"
    if os.access(beside, os.X_OK):
        return str(beside)
    raise Refusal("ninja is not installed: pip install ninja")


def _named(variable: str, name: str | None) -> str | None:
    """The program that `name` or the environment variable asks for, less a launcher before it. Raises Refusal."""
    asked = name or os.environ.get(variable, "").strip()
    if not asked:
        return None
    words = shlex.split(asked)
    program = words[1] if len(words) > 1 and Path(words[0]).name in LAUNCHERS else asked
    found = shutil.which(program)
    if found is None:
        raise Refusal(f"{variable} is {asked!r}, which is no program here", exit_code=2)
    return found


def _first(*names: str) -> str | None:
    """The first of `names` that is a program, as an absolute path."""
    return next((found for name in names if (found := shutil.which(name)) is not None), None)
