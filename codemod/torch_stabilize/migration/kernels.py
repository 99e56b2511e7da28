"""The files of a group, rewritten by the rules, with their include lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from torch_stabilize.bindings.reading.read import binding_spans, registration_spans
from torch_stabilize.includes.relocate import Relocation
from torch_stabilize.migration.file_includes import FileIncludes
from torch_stabilize.migration.project import GroupProject
from torch_stabilize.model import Change, Diagnostic, Edit, FileEdit, Severity, Span
from torch_stabilize.rules.engine import Rewritten, rewrite_document
from torch_stabilize.rules.raised import dtypes_shown, raised
from torch_stabilize.rules.shared import dual_judge, switched
from torch_stabilize.rules.shared_state import is_idle, shared_state

_NO_FORM = "TSA190"


def rewrite_files(made: GroupProject, files: Iterable[str]) -> dict[str, Rewritten]:
    """What the rules make of the group's files and of the headers it shares, by path."""
    rewritten = {path: _rewrite(made, path) for path in files}
    return rewritten | {path: _rewrite_shared(made, path) for path in made.shared}


def without_classes(rewritten: Mapping[str, Rewritten], said: Iterable[Diagnostic]) -> dict[str, Rewritten]:
    """`rewritten` without a line for each name in classes of which `said` speaks as a whole."""
    spans: dict[str, list[Span]] = {}
    for one in said:
        if one.severity is Severity.ERROR:
            spans.setdefault(one.path, []).append(one.span)
    return {
        path: one._replace(
            diagnostics=tuple(
                d for d in one.diagnostics
                if d.code != _NO_FORM or not any(span.contains(d.span) for span in spans.get(path, ()))
            )
        )
        for path, one in rewritten.items()
    }  # fmt: skip


def _rewrite(made: GroupProject, path: str) -> Rewritten:
    context = made.context(path)
    return _placed(rewrite_document(context, registration_spans(context.document)), path)


def _rewrite_shared(made: GroupProject, path: str) -> Rewritten:
    context = made.context(path)
    document = context.document
    judge = dual_judge(document, made.check[0])
    both = partial(switched, document, partial(is_idle, context))
    done = rewrite_document(context, binding_spans(document), judge=judge, around=both)
    return _placed(done._replace(diagnostics=(*done.diagnostics, *shared_state(context))), path)


def _placed(one: Rewritten, path: str) -> Rewritten:
    return one._replace(diagnostics=tuple(replace(d, path=path) for d in one.diagnostics))


def kernel_change(
    made: GroupProject, rewritten: Mapping[str, Rewritten], place: Relocation, bindings: Change
) -> Change:
    """The edits of the group's files: what the rules made of them, and their include lines.

    `bindings` is looked at for registrations that were edited in place: what they need is included too.
    """
    edits: list[FileEdit] = []
    diagnostics: list[Diagnostic] = []
    for path, one in rewritten.items():
        registered = tuple(f.edit for f in bindings.edits if f.path == path)
        blocks = binding_spans(made.documents[path])
        outside = tuple(edit for edit in one.edits if not any(block.contains(edit.span) for block in blocks))
        include_edits, found = FileIncludes(made, rewritten, place, path, outside, registered).written()
        included = (_before_blocks(edit, registered) for edit in include_edits)
        edits += [FileEdit(path, edit) for edit in (*outside, *included) if edit is not None]
        diagnostics += (*one.diagnostics, *found)
    diagnostics += (*raised(edits), *dtypes_shown(made.documents[path] for path in sorted(rewritten)))
    return Change("Rewrite the kernels", tuple(edits), (), (), tuple(diagnostics))


def _before_blocks(edit: Edit, registered: Iterable[Edit]) -> Edit | None:
    """An edit of include lines, in front of a block that is written anew where a line is in it."""
    around = next((block.span for block in registered if len(block.span) and block.span.contains(edit.span)), None)
    if around is None or (not len(edit.span) and edit.span.start in (around.start, around.end)):
        return edit
    return replace(edit, span=Span(around.start, around.start)) if edit.replacement.strip() else None
