"""What is where in the repository at hand: detected from its files, overridden by configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from posixpath import dirname
from typing import NamedTuple

from torch_stabilize.repository.stable_target import STABLE_SUFFIX


class Form(str, Enum):
    """How a library gives units to the stable ABI."""

    MOVED = "moved"  # into the folder of stable sources, built into a counterpart of the library
    SPLIT_IN_PLACE = "split in place"  # where they are, built into a counterpart: the library keeps something of torch
    WHOLE_IN_PLACE = "whole in place"  # where they are, in the library itself: nothing of torch's C++ API is left in it


@dataclass(frozen=True)
class Library:
    """One extension module of the legacy build."""

    name: str  # "_C", "_moe_C"
    bindings: tuple[str, ...]  # the files that define its ops
    units: tuple[str, ...] = ()  # sources that build files name for it; not filled in where there is one library
    stable_name: str = ""  # the module its ops migrate to: "_moe_C_stable_libtorch"
    stable_bindings: str = ""
    stable_declarations: str = ""
    op_namespace: str = ""  # configured for this library alone


@dataclass(frozen=True)
class Layout:
    """The places a migration touches. Paths are relative to the root; folders have no trailing slash."""

    source_root: str  # "csrc": the folder that holds the C++ and CUDA sources
    stable_root: str  # "csrc/libtorch_stable": where migrated files land
    legacy_library: str  # "_C": module name of the legacy extension
    stable_library: str  # "_C_stable_libtorch": module name of the stable one
    legacy_bindings: tuple[str, ...]  # files with TORCH_LIBRARY* or PYBIND11_MODULE blocks, the main one first
    stable_bindings: str  # "csrc/libtorch_stable/torch_bindings.cpp", existing or to be made
    legacy_declarations: tuple[str, ...]  # headers that declare ops for the bindings: "csrc/ops.h", "csrc/cache.h"
    stable_declarations: str  # "csrc/libtorch_stable/ops.h", existing or to be made
    stable_helpers: str  # "csrc/libtorch_stable/torch_utils.h": stream, device properties, checks
    stable_dispatch: str  # "csrc/libtorch_stable/dispatch_utils.h": translated dispatch macros
    cmake_files: tuple[str, ...]  # CMakeLists.txt and *.cmake that name sources
    setup_files: tuple[str, ...]  # setup.py and build helpers that name sources
    python_roots: tuple[str, ...]  # folders of Python packages: "vllm"
    project_root: str = ""  # the folder with setup.py or CMakeLists.txt: "" unless the extension is in a subfolder
    include_roots: tuple[str, ...] = ()  # where quoted and angle includes are looked up, next to the including file
    libraries: tuple[Library, ...] = ()  # every legacy extension module, the main one first
    op_namespace: str = ""  # configured namespace of the operators that functions of Python modules become
    label: str = ""  # what names of its groups begin with: "cpu" for "cpu/norm"; "" for the main extension
    is_other_build: bool = False  # this is the layout of such an alternative build
    other_builds: tuple[str, ...] = ()  # bindings of an alternative build (CPU only) that defines the same ops
    form: Form = Form.MOVED  # of the migration at hand
    entries: tuple[tuple[str, int], ...] = ()  # of libraries that are converted in place: files, and where calls begin
    is_compiled_at_import: bool = False  # by Python, `torch.utils.cpp_extension.load`: those are calls of that
    kernel_files: tuple[str, ...] = ()  # those of kernel-builder that make the libraries
    shared_entries: tuple[tuple[str, int], ...] = ()  # those of them that make other libraries too
    variants: tuple[str, ...] = ()  # other libraries made of the same bindings: "_C_AVX2", with flags of its own
    has_computed_namespace: bool = False  # operators of such libraries are in namespaces that the build names

    def __hash__(self) -> int:
        # as a key it is asked for this often, and the libraries of a tree are many
        return hash((self.source_root, self.legacy_library, self.stable_library, self.stable_bindings, self.label))

    @property
    def is_whole(self) -> bool:
        """Whether the library is converted where it is: then it is its own counterpart."""
        return self.form is Form.WHOLE_IN_PLACE

    @property
    def counterparts(self) -> dict[str, str]:
        """The stable library of the library that migrates, and of each of its variants."""
        return {self.legacy_library: self.stable_library, **{name: name + STABLE_SUFFIX for name in self.variants}}

    @property
    def helper_folder(self) -> str:
        """Where helper headers are, or are to be made."""
        return dirname(self.stable_helpers) if self.is_whole else self.stable_root

    def landing(self, path: str) -> str:
        """Where the legacy file `path` is moved to: "csrc/a/b.cu" becomes "csrc/libtorch_stable/a/b.cu"."""
        if path.startswith(self.stable_root + "/"):
            return path
        prefix = f"{self.source_root}/" if self.source_root else ""
        return f"{self.stable_root}/{path.removeprefix(prefix)}"

    def origin(self, path: str) -> str:
        """Where the file that lies at `path` now came from: the opposite of `landing`."""
        if not self.is_stable(path):
            return path
        below = path.removeprefix(self.stable_root + "/")
        return f"{self.source_root}/{below}" if self.source_root else below

    def library_of(self, unit: str) -> Library | None:
        """The legacy library `unit` belongs or belonged to; None where that is not known or there are several."""
        origin = self.origin(unit)
        owners = [library for library in self.libraries if origin in library.units or origin in library.bindings]
        if owners:
            return owners[0] if len(owners) == 1 else None
        # What no build file names belongs to the bindings nearest above it.
        homes: dict[str, list[Library]] = {}
        for library in self.libraries:
            for path in library.bindings:
                homes.setdefault(dirname(path), []).append(library)
        folder = dirname(origin)
        while folder and folder not in homes:
            folder = dirname(folder)
        found = homes.get(folder, [])
        return found[0] if len(found) == 1 else None

    def for_units(self, units: Iterable[str]) -> Layout:
        """This layout with the library that owns all of `units` as the one that migrates; as it is where none does."""
        owners = {self.library_of(unit) for unit in units}
        owner = owners.pop() if len(owners) == 1 else None
        if owner is None or owner.name == self.legacy_library or not owner.stable_name:
            return self
        return replace(
            self,
            legacy_library=owner.name,
            stable_library=owner.stable_name,
            stable_bindings=owner.stable_bindings,
            stable_declarations=owner.stable_declarations,
            op_namespace=owner.op_namespace or self.op_namespace,
        )

    def is_stable(self, path: str) -> bool:
        """Whether `path` lies in the folder of migrated files."""
        return path.startswith(self.stable_root + "/")


class Group(NamedTuple):
    """What one pull request migrates: units, the headers that move with them, and who else is concerned.

    Headers that stay where they are without any change are not listed, nor are the headers that declare ops for the
    bindings where others include them too: those are the bindings' business.
    """

    name: str
    units: tuple[str, ...]  # translation units
    moving_headers: tuple[str, ...] = ()  # headers that only these units include, and that go where they go
    shared_headers: tuple[str, ...] = ()  # headers other units include too: must compile in both builds
    migrated: tuple[str, ...] = ()  # units that were asked for and are stable already: nothing to do for them
    registrations: tuple[str, ...] = ()  # files that were asked for and do nothing but register what others implement

    @property
    def files(self) -> tuple[str, ...]:
        """Everything that gets a new place, sorted."""
        return tuple(sorted({*self.units, *self.moving_headers}))
