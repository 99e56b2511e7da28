"""Decide what a request means for each library that has a part in it."""

from __future__ import annotations

from collections.abc import Iterable
from posixpath import basename, dirname, join

from torch_stabilize.buildfiles.model import Abi, EntryKind, Library
from torch_stabilize.layout.decision import Decision, Part
from torch_stabilize.layout.read import Program, built_program
from torch_stabilize.layout.variants import variants_of
from torch_stabilize.repository import layout as layouts
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import STABLE_SUFFIX

_MODULES = (EntryKind.MODULE, EntryKind.SHARED, EntryKind.JIT)


def decide(program: Program, layout: Layout, units: Iterable[str]) -> Decision:
    """The parts of a request for `units`: one for each library that builds some of them.

    What no build file names belongs to the library whose bindings are nearest, else to the first part. Where all belong
    to one library there is one part, and none where that is not known.
    """
    asked = tuple(units)
    takers: dict[str, list[str]] = {}
    nobodys: list[str] = []
    homes = variants_of(program.snapshot, layout)
    for unit in asked:
        names = list(dict.fromkeys(homes.get(name, name) for name in _owners(program, layout, unit)))
        nobodys += [] if names else [unit]
        for name in names:
            takers.setdefault(name, []).append(unit)
    known = {library.name: library for library in layout.libraries}
    order = {name: place for place, name in enumerate(known)}
    parts = [
        Part(
            known.get(name) or _without_bindings(program, layout, name),
            tuple(found),
        )
        for name, found in sorted(takers.items(), key=lambda item: order.get(item[0], len(order)))
    ]
    if parts and nobodys:
        parts[0] = parts[0]._replace(units=(*parts[0].units, *nobodys))
    return Decision(tuple(parts))


def legacy_owners(program: Program, unit: str) -> list[Library]:
    """The modules of the legacy ABI that build files make of `unit`."""
    return [
        library
        for library in {owner.key: owner for owner, _ in program.by_unit.get(unit, ())}.values()
        if library.abi is not Abi.STABLE and library.name and any(e.kind in _MODULES for e in library.entries)
    ]


def is_elsewhere(snapshot: Snapshot, layout: Layout, path: str) -> bool:
    """Whether `path` belongs to another library than the one of `layout`, as far as that is known."""
    program = built_program(snapshot)
    names = _owners(program, layout, path)
    homes = variants_of(snapshot, layout)
    return bool(names) and layout.legacy_library not in {homes.get(name, name) for name in names}


def _owners(program: Program, layout: Layout, unit: str) -> list[str]:
    """The names of the libraries that `unit` belongs to: those of its project, where another one builds it too."""
    owners = legacy_owners(program, unit)
    ours = [library for library in owners if library.project == layout.project_root]
    named = list(dict.fromkeys(library.name for library in ours or owners))
    if named:
        return named
    nearest = layout.library_of(unit)
    return [nearest.name] if nearest is not None else []


def _without_bindings(program: Program, layout: Layout, name: str) -> layouts.Library:
    """A library whose bindings are another one's, or that has none: its stable files get a name of their own."""
    units = [unit for library in program.libraries if library.name == name for unit in sorted(library.units)]
    bindings = tuple(path for path in units if path in layout.legacy_bindings)
    own = program.config.of_library(name)
    folder = dirname(layout.landing(bindings[0])) if bindings else layout.stable_root
    return layouts.Library(
        name,
        bindings,
        tuple(units),
        own.stable_library or name + STABLE_SUFFIX,
        own.stable_bindings or join(folder, f"{name.strip('_').lower()}_bindings.cpp"),
        own.stable_declarations or join(folder, basename(layout.stable_declarations)),
        own.op_namespace,
    )
