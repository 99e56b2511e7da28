"""Libraries that a plan leaves with nothing: they go, with what builds and loads them and with their empty files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from torch_stabilize.buildfiles.codes import EXTENSION_CREATED, NO_SOURCE_LEFT, TARGET_CREATED, WHEEL_TAG
from torch_stabilize.buildfiles.gone.taken_out import TakenOut
from torch_stabilize.buildfiles.model import Abi, EntryKind, Library
from torch_stabilize.layout.read import Program
from torch_stabilize.migration.composed import compose
from torch_stabilize.model import Diagnostic, Edit, FileChange, Plan, Severity, Span
from torch_stabilize.program import codes
from torch_stabilize.program.hollow import has_init
from torch_stabilize.program.planned import Planned
from torch_stabilize.program.units import Units
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import HEADER_SUFFIXES, UNIT_SUFFIXES
from torch_stabilize.source.edits import apply, settle

_MODULES = (EntryKind.MODULE, EntryKind.SHARED)


def without_emptied(program: Program, layout: Layout, plan: Plan) -> Plan:
    """`plan`, a plan for the tree of `program`, with every library taken out that it leaves with nothing.

    One that something still speaks of stays, which is said. Files are not formatted yet.
    """
    for library in _candidates(program, plan):
        planned = Planned(program, plan)
        after = next((one for one in planned.after.libraries if one.key == library.key), None)
        partner = _partner(planned, library)
        if after is None or partner is None or program.has_gap(after):
            continue
        units = Units(planned.after.snapshot, layout, program.config)
        left = [unit for unit in sorted(after.units) if planned.after.snapshot.exists(unit)]
        going = _going(planned.after, units, library, left)
        loses_init = _has_init(program.snapshot, library) and not _has_init(planned.after.snapshot, partner)
        is_open = any(_is_open(one, library) for one in plan.diagnostics)
        is_shared = all(path in going or _is_of_others(planned.after, library, path) for path in left)
        if all(map(units.is_hollow, left)) and is_shared and not loses_init and not is_open:
            plan = _taken_out(planned, layout, library, partner, going)
    return plan


def _is_open(one: Diagnostic, library: Library) -> bool:
    """Whether something is left to do by hand in a build file, which may be about the library."""
    files = {entry.file for entry in library.entries}
    return one.severity is Severity.ERROR and one.path in files and one.code != NO_SOURCE_LEFT


def _candidates(program: Program, plan: Plan) -> list[Library]:
    """The legacy modules of which the plan changes a unit."""
    changed = {file.old_path for file in plan.files}
    touched = changed.intersection(path for path in program.by_unit if path.endswith(UNIT_SUFFIXES))
    libraries = {owner.key: owner for path in sorted(filter(None, touched)) for owner, _ in program.by_unit[path]}
    return [
        one
        for one in libraries.values()
        if one.name
        and one.abi is not Abi.STABLE
        and all(entry.kind in _MODULES for entry in one.entries)
        and not program.has_gap(one)
    ]


def _partner(planned: Planned, library: Library) -> Library | None:
    """The stable library that has the units of `library` from now on."""
    keys = planned.partners[library.key] - {library.key}
    moved = {planned.now(unit) for unit in library.units}
    found = [
        one for one in planned.after.libraries if one.key in keys and one.abi is Abi.STABLE and moved & one.units
    ]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _is_of_others(after: Program, library: Library, path: str) -> bool:
    """Whether other modules are built of `path` too, for which it stays."""
    others = [owner for owner, _ in after.by_unit.get(path, ()) if owner.key != library.key]
    return bool(others) and all(entry.kind in _MODULES for one in others for entry in one.entries)


def _has_init(snapshot: Snapshot, library: Library) -> bool:
    """Whether Python can import a library."""
    return any(has_init(snapshot.document(unit)) for unit in sorted(library.units) if snapshot.exists(unit))


def _going(after: Program, units: Units, library: Library, left: Iterable[str]) -> list[str]:
    """The files that go: hollow units that nothing else builds, and headers of theirs that hold nothing either."""
    others = {
        source.path for entry in after.entries if entry.kind not in _MODULES for source in entry.sources
    }  # fmt: skip
    gone = [
        path
        for path in left
        if path not in others and all(owner.key == library.key for owner, _ in after.by_unit.get(path, ()))
    ]
    for path in tuple(gone):
        for header in units.graph.direct(path):
            is_ours = header.endswith(HEADER_SUFFIXES) and set(units.graph.includers(header)) <= set(gone)
            if is_ours and header not in gone and _holds_nothing(after.snapshot, header):
                gone.append(header)
    return gone


def _holds_nothing(snapshot: Snapshot, path: str) -> bool:
    """Whether a header has nothing but includes and `#pragma once`."""
    lines = (line.strip() for line in snapshot.document(path).code.splitlines())
    return all(not line or line.startswith((b"#include", b"#pragma")) for line in lines)


def _taken_out(planned: Planned, layout: Layout, library: Library, partner: Library, going: list[str]) -> Plan:
    tree, plan = planned.after.snapshot, planned.plan
    name = library.module or library.name
    from torch_stabilize.buildfiles.gone.take_out import take_out

    own = replace(layout, legacy_library=library.name, stable_library=partner.name)
    taken = take_out(tree, own, plan.target)
    if taken.kept:
        note = Diagnostic(
            codes.EMPTIED_STAYS.code, Severity.NOTE, *_place(library),
            f"nothing is left of {name}, which is built as before: {taken.kept}",
            "Take it out of the build, with what speaks of it.",
        )  # fmt: skip
        return replace(plan, diagnostics=(*plan.diagnostics, note))
    files = "".join(f", {path} is removed" for path in going)
    note = Diagnostic(
        codes.EMPTIED.code, Severity.WARNING, *_place(library),
        f"nothing is left of {name}: it is no longer built, {partner.module or partner.name} is loaded instead{files}",
        f"Look for what loads {name} outside of this repository, such as its packaging.",
    )  # fmt: skip
    plan = replace(plan, diagnostics=(*_still_true(plan, library, taken), note))
    removed = [FileChange(path, None, tree.read(path), None) for path in going]
    second = Plan(plan.group, plan.target, (*_edited(tree, taken), *removed), taken.diagnostics)
    return compose(plan, second)


def _place(library: Library) -> tuple[str, Span]:
    entry = library.entries[0]
    return entry.file, entry.span


def _still_true(plan: Plan, library: Library, taken: TakenOut) -> list[Diagnostic]:
    """What the plan said, but that the library has no source left or gets company, and what is new of the wheel."""
    places = {(entry.file, entry.span.start) for entry in library.entries}
    anew = {one.path for one in taken.diagnostics if one.code == WHEEL_TAG}
    return [
        one
        for one in plan.diagnostics
        if not ((one.path, one.span.start) in places and _is_about_both(one))
        and not (one.code == WHEEL_TAG and one.path in anew)
    ]


def _edited(tree: Snapshot, taken: TakenOut) -> list[FileChange]:
    by_path: dict[str, list[Edit]] = {}
    for one in taken.edits:
        by_path.setdefault(one.path, []).append(one.edit)
    found = []
    for path, edits in sorted(by_path.items()):
        before, done = tree.read(path), settle(edits)
        found.append(FileChange(path, path, before, apply(before, done), done))
    return found


def _is_about_both(one: Diagnostic) -> bool:
    is_beside = one.code in (EXTENSION_CREATED, TARGET_CREATED) and one.severity is Severity.NOTE
    return one.code == NO_SOURCE_LEFT or is_beside
