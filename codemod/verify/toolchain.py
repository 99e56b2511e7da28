"""The compilers, torch and build tools of this machine, found without importing torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from codemod.model import Refusal
from codemod.surface.versions import Version, parse_version

_VERSION_MACRO = re.compile(r"#define\s+TORCH_VERSION_(MAJOR|MINOR)\s+(\d+)")


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


def find_torch() -> TorchInstall:
    """The torch of this environment. Raises Refusal where there is none."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise Refusal("torch is not installed: pip install 'torch-stabilize[verify]'")
    root = Path(next(iter(spec.submodule_search_locations)))
    return TorchInstall(importlib.metadata.version("torch"), root / "include", root / "lib")


def find_toolchain(*, cxx: str | None = None, nvcc: str | None = None) -> Toolchain:
    """The tools of this machine; `cxx` and `nvcc` (or $CXX, $NVCC) name others than those on PATH.

    Raises Refusal where the C++ compiler, ninja or torch is missing. Without nvcc, CUDA units are left out.
    """
    compiler = _first(cxx, os.environ.get("CXX"), "c++", "g++", "clang++")
    if compiler is None:
        raise Refusal("no C++ compiler found: install g++ or clang++, or set CXX")
    return Toolchain(
        cxx=compiler,
        ninja=_find_ninja(),
        torch=find_torch(),
        python_include=Path(sysconfig.get_paths()["include"]),
        nvcc=_first(nvcc, os.environ.get("NVCC"), "nvcc", "/usr/local/cuda/bin/nvcc"),
        launcher=_first("ccache", "sccache"),
    )


def header_version(include: Path) -> Version:
    """Major and minor version of the torch that the headers in `include` belong to. Raises Refusal."""
    path = include / "torch/headeronly/version.h"
    try:
        found = dict(_VERSION_MACRO.findall(path.read_text(encoding="utf-8")))
        return int(found["MAJOR"]), int(found["MINOR"])
    except (OSError, KeyError) as error:
        raise Refusal(f"no torch headers in {include}: {path.name} is missing or names no version") from error


def target_macro(target: str, headers: Version) -> str:
    """The value of TORCH_TARGET_VERSION for a target like "2.11".

    Raises Refusal (exit 2) for text that is no version and for a target newer than the headers, which the headers
    would accept without a word.
    """
    try:
        version = parse_version(target)
    except ValueError as error:
        raise Refusal(f"not a torch version: {target}", exit_code=2) from error
    if version > headers:
        raise Refusal(
            f"target {target} is newer than the headers, which are those of torch {headers[0]}.{headers[1]}",
            exit_code=2,
        )
    return f"0x{version[0]:02x}{version[1]:02x}000000000000ULL"


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


def _first(*names: str | None) -> str | None:
    """The first of `names` that is a program, as an absolute path."""
    for name in names:
        found = shutil.which(name) if name else None
        if found is not None:
            return found
    return None
