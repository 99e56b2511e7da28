"""The loops of a project written out: for those who read all of them, and for a plan that edits some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch_stabilize.buildfiles.cmake.flow import CMakeProject
from torch_stabilize.buildfiles.cmake.loops import WrittenOut, written_out
from torch_stabilize.buildfiles.cmake.syntax import CMakeFile, read_cmake
from torch_stabilize.buildfiles.codes import LOOP_WRITTEN_OUT
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.model import Diagnostic, FileEdit, Refusal, Severity, Span
from torch_stabilize.repository.snapshot import Snapshot

_LOOK = "Look at what each library is built of and with."


def loops_of(snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, WrittenOut]:
    """The CMake files `paths` that make libraries or lists in loops or by functions, all of these written out."""
    return snapshot.once((loops_of, tuple(paths)), lambda: _loops_of(snapshot, paths))


def _loops_of(snapshot: Snapshot, paths: Sequence[str]) -> dict[str, WrittenOut]:
    files: dict[str, CMakeFile] = {}
    for path in paths:
        try:
            files[path] = read_cmake(path, snapshot.read(path))
        except Refusal:
            continue
    project = CMakeProject(files, snapshot)
    return {path: found for path, file in files.items() if (found := written_out(project, file)) is not None}


def loops_to_edit(snapshot: Snapshot, moving: Moving) -> Mapping[str, WrittenOut]:
    """The files in which a loop makes a library that units leave, or brings its sources, with such loops written out.

    What other loops do stays as it is.
    """
    paths = moving.layout.cmake_files
    everywhere = loops_of(snapshot, paths)
    if not everywhere:
        return {}
    files = {path: read_cmake(path, snapshot.read(path)) for path in paths}
    project = CMakeProject({**files, **{path: one.file for path, one in everywhere.items()}}, snapshot)
    units, named = set(moving.units), {moving.layout.legacy_library, *moving.layout.variants}
    wanted: dict[str, set[Span]] = {}
    for definition in project.definitions:
        flows = project.flows(definition)
        if not any(flow.path in units for flow in flows) and not (moving.layout.is_whole and definition.name in named):
            continue
        for command in (definition.command, *(step for flow in flows for step in flow.steps)):
            if command.path in everywhere and everywhere[command.path].is_new(command.span):
                wanted.setdefault(command.path, set()).add(everywhere[command.path].was(command.span))
    before = CMakeProject(files, snapshot)
    found = {path: written_out(before, files[path], spans.__contains__) for path, spans in wanted.items()}
    return {path: one for path, one in found.items() if one is not None}


def in_loops(snapshot: Snapshot, moving: Moving, loops: Mapping[str, WrittenOut]) -> Moving:
    """`moving`, with the entries that the layout names at their places in files that are written out."""
    layout = moving.layout
    named = {layout.legacy_library, *layout.variants}
    entries: list[tuple[str, int]] = []
    for path, start in layout.entries:
        if path not in loops:
            entries.append((path, start))
            continue
        for definition in CMakeProject({path: loops[path].file}, snapshot).definitions:
            place = definition.command.span
            if loops[path].was(place).start == start and (definition.name in named or not loops[path].is_new(place)):
                entries.append((path, place.start))
    return moving._replace(layout=replace(layout, entries=tuple(entries)))


def as_they_were(
    edits: Sequence[FileEdit], diagnostics: Sequence[Diagnostic], loops: Mapping[str, WrittenOut]
) -> tuple[tuple[FileEdit, ...], tuple[Diagnostic, ...]]:
    """Edits and messages about files whose loops are written out, at the places of the files as they are."""
    made = [edit for edit in edits if edit.path not in loops]
    told = [
        replace(one, span=loops[one.path].was(one.span)) if one.path in loops else one for one in diagnostics
    ]  # fmt: skip
    for path, loop in loops.items():
        own = [edit.edit for edit in edits if edit.path == path]
        if not own:
            continue
        made += [FileEdit(path, edit) for edit in loop.edits(own, LOOP_WRITTEN_OUT)]
        for piece in loop.pieces:
            if piece.is_new:
                message = "this is written out as the commands that it runs, which differ from here on"
                told.append(Diagnostic(LOOP_WRITTEN_OUT, Severity.WARNING, path, piece.was, message, _LOOK))
    return tuple(made), tuple(told)
