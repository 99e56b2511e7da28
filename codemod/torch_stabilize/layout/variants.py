"""Libraries that are built of one file of bindings: one for each instruction set, say, with flags of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from torch_stabilize.buildfiles.model import Abi, EntryKind
from torch_stabilize.layout.read import Program, built_program
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.registrations import COMPUTED_NAMES, extension_name, registrations_of
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import STABLE_SUFFIX

_MODULES = (EntryKind.MODULE, EntryKind.SHARED)


def variants_of(snapshot: Snapshot, layout: Layout) -> dict[str, str]:
    """For each library whose bindings are those of another one: that other one, which the layout knows.

    Only what the CMake files of its project build, and bindings that register operators: a module of functions is
    one library's own.
    """
    return snapshot.once((variants_of, layout), partial(_variants_of, snapshot, layout))


def _variants_of(snapshot: Snapshot, layout: Layout) -> dict[str, str]:
    names = {library.name for library in layout.libraries}
    homes = {path: library.name for library in layout.libraries for path in library.bindings}
    homes |= {library.stable_bindings: library.name for library in layout.libraries if library.stable_bindings}
    homes = {path: name for path, name in homes.items() if _registers_operators(snapshot, path)}
    found: dict[str, str] = {}
    for library in built_program(snapshot).libraries if homes else ():
        entries = library.entries
        is_ours = all(entry.system == "cmake" and entry.file in layout.cmake_files for entry in entries)
        if not is_ours or not any(entry.kind in _MODULES for entry in entries):
            continue
        legacy = library.name.removesuffix(STABLE_SUFFIX) if library.abi is Abi.STABLE else library.name
        owners = {homes[path] for path in library.units if path in homes}
        if legacy not in names and len(owners) == 1 and (library.abi is not Abi.STABLE or legacy != library.name):
            found[legacy] = owners.pop()
    return found


def with_variants(program: Program, layout: Layout) -> Layout:
    """`layout` with the variants of the library that migrates, and whether their operators' namespaces differ."""
    variants = tuple(
        sorted(name for name, home in variants_of(program.snapshot, layout).items() if home == layout.legacy_library)
    )
    own = next((one for one in layout.libraries if one.name == layout.legacy_library), None)
    bindings = own.bindings if own is not None else layout.legacy_bindings
    computed = bool(variants) and any(_names_by_build(program.snapshot, path) for path in bindings)
    return replace(layout, variants=variants, has_computed_namespace=computed)


def _registers_operators(snapshot: Snapshot, path: str) -> bool:
    return snapshot.exists(path) and b"TORCH_LIBRARY" in (d := snapshot.read(path)) and b"PYBIND11_MODULE" not in d


def _names_by_build(snapshot: Snapshot, path: str) -> bool:
    """Whether a file registers in a namespace that is called as the library is."""
    found = registrations_of(snapshot, path)
    if found is None or extension_name(snapshot.document(path)):
        return False
    return any(word in COMPUTED_NAMES for name in found.libraries for word in re.findall(r"\w+", name))
