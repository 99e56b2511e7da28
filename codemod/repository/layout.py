"""What is where in the repository at hand: detected from its files, overridden by configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """The places a migration touches. Paths are relative to the root; folders have no trailing slash."""

    source_root: str  # "csrc": the folder that holds the C++ and CUDA sources
    stable_root: str  # "csrc/libtorch_stable": where migrated files land
    legacy_library: str  # "_C": module name of the legacy extension
    stable_library: str  # "_C_stable_libtorch": module name of the stable one
    legacy_bindings: tuple[str, ...]  # files with TORCH_LIBRARY* or PYBIND11_MODULE blocks
    stable_bindings: str  # "csrc/libtorch_stable/torch_bindings.cpp", existing or to be made
    legacy_declarations: tuple[str, ...]  # headers that declare ops for the bindings: "csrc/ops.h", "csrc/cache.h"
    stable_declarations: str  # "csrc/libtorch_stable/ops.h", existing or to be made
    stable_helpers: str  # "csrc/libtorch_stable/torch_utils.h": stream, device properties, checks
    stable_dispatch: str  # "csrc/libtorch_stable/dispatch_utils.h": translated dispatch macros
    cmake_files: tuple[str, ...]  # CMakeLists.txt and *.cmake that name sources
    setup_files: tuple[str, ...]  # setup.py and build helpers that name sources
    python_roots: tuple[str, ...]  # folders of Python packages: "vllm"

    def landing(self, path: str) -> str:
        """Where the legacy file `path` goes: "csrc/a/b.cu" becomes "csrc/libtorch_stable/a/b.cu"."""
        if path.startswith(self.stable_root + "/"):
            return path
        prefix = f"{self.source_root}/" if self.source_root else ""
        return f"{self.stable_root}/{path.removeprefix(prefix)}"


@dataclass(frozen=True)
class Group:
    """What one pull request migrates: units, the headers that move with them, and who else is concerned."""

    name: str
    units: tuple[str, ...]  # translation units
    moving_headers: tuple[str, ...] = ()  # headers that only these units (and their moving headers) include
    shared_headers: tuple[str, ...] = ()  # headers legacy units outside the group include too: must compile in both
