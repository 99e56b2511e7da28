"""The changes of the rooms joined into the files of one plan, and those files formatted."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Sequence, Set
from dataclasses import replace

from torch_stabilize.formatting.clang_format import format_changed, style_for
from torch_stabilize.model import (
    Change,
    Diagnostic,
    Edit,
    FileChange,
    Move,
    NewFile,
    Plan,
    Severity,
    Span,
)
from torch_stabilize.repository.codes import EDITS_COLLIDE
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES, Document
from torch_stabilize.source.edits import OverlapError, apply, includes_first, settle


def join(snapshot: Snapshot, name: str, target: str, changes: Sequence[Change], moves: Sequence[Move]) -> Plan:
    """The plan of several changes: edits applied, files moved.

    Edits of different rooms that meet in one file and cannot both be done are reported, and the file is left alone.
    """
    edits: dict[str, list[Edit]] = {}
    for change in changes:
        for one in change.edits:
            edits.setdefault(one.path, []).append(one.edit)
    landing = {move.old: move.new for move in moves}
    diagnostics = [d for change in changes for d in change.diagnostics]
    files: list[FileChange] = []
    for path in sorted({*edits, *landing}):
        before = snapshot.read(path)
        try:
            done = settle(includes_first(_behind_mark(before, edits.get(path, ()))))
        except OverlapError as error:
            span = error.second.span
            diagnostics.append(
                Diagnostic(EDITS_COLLIDE, Severity.ERROR, path, span, str(error), "edit this place by hand")
            )
            done = ()
        after = apply(before, done)
        new_path = landing.get(path, path)
        if after != before or new_path != path:
            files.append(FileChange(path, new_path, before, after, done))
    for new in _merged(changes):
        before_new = snapshot.read(new.path) if snapshot.exists(new.path) else None
        if before_new != new.content:
            files.append(FileChange(new.path if before_new is not None else None, new.path, before_new, new.content))
    return Plan(name, target, tuple(files), tuple(diagnostics))


def _behind_mark(before: bytes, edits: Sequence[Edit]) -> Sequence[Edit]:
    """`edits` of a file that may start with a byte order mark: it stays, and stays first."""
    if not before.startswith(BOM_UTF8):
        return edits
    size = len(BOM_UTF8)
    return [
        replace(
            edit,
            span=Span(max(edit.span.start, size), max(edit.span.end, size)),
            replacement=edit.replacement.replace(BOM_UTF8, b""),
        )
        for edit in edits
    ]


def _merged(changes: Sequence[Change]) -> tuple[NewFile, ...]:
    found: dict[str, NewFile] = {}
    for change in changes:
        for new in change.created:
            found[new.path] = new
    return tuple(found[path] for path in sorted(found))


def formatted(plan: Plan, snapshot: Snapshot, styled: Set[str]) -> Plan:
    """`plan` with the changed lines of its `styled` files formatted as the repository formats them."""
    files = [_in_style(snapshot, one, styled) for one in plan.files]
    kept = (one for one in files if one.after != one.before or one.new_path != one.old_path)
    return replace(plan, files=tuple(kept))


def _in_style(snapshot: Snapshot, one: FileChange, styled: Set[str]) -> FileChange:
    path = one.old_path or one.new_path or ""
    if path not in styled or one.after is None or one.new_path is None or not path.endswith(SOURCE_SUFFIXES):
        return one
    document = snapshot.document(path) if one.old_path is not None else Document(path, b"")
    return replace(one, after=format_changed(document, one.after, style_for(snapshot, one.new_path)))
