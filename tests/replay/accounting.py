"""No site vanishes: an independent search for unstable names, held against what a plan did with each of them.

The search knows nothing of the rules and their tables: qualified names of torch's namespaces and macros with torch's
prefixes, in code that is neither comment nor literal nor preprocessor line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from torch_stabilize.bindings.reading.read import binding_spans
from torch_stabilize.model import FileChange, Plan, Span
from torch_stabilize.rules.sites import in_legacy_branch
from torch_stabilize.source.document import SOURCE_SUFFIXES, Document

_NAME = re.compile(
    rb"(?<![\w:.>])(?:torch|at|c10)::(?!stable\b|headeronly\b|native\b)[A-Za-z_]\w*"
    rb"|\b(?:TORCH_CHECK\w*|AT_DISPATCH_\w+|AT_ERROR|C10_CUDA_\w+|AT_CUDA_CHECK)\b"
)
_COMMENT_OR_TEXT = re.compile(rb"//(?:\\\r?\n|[^\n])*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.DOTALL)
_DIRECTIVE = re.compile(rb"^[ \t]*#[ \t]*(?!define\b)[a-z]+(?:\\\r?\n|[^\n])*", re.MULTILINE)


def unstable_names(data: bytes) -> Iterator[tuple[Span, str]]:
    """Every unstable name in `data` with its place."""

    def blank(match: re.Match[bytes]) -> bytes:
        return re.sub(rb"[^\n]", b" ", match.group())

    for match in _NAME.finditer(_DIRECTIVE.sub(blank, _COMMENT_OR_TEXT.sub(blank, data))):
        yield Span(*match.span()), match.group().decode()


def sites_add_up(plan: Plan) -> list[str]:
    """The files whose counts do not add up: rewritten, diagnosed and allowed make found."""
    return [
        f"{path}: {count.found} found, {count.rewritten + count.diagnosed + count.allowed} accounted for"
        for path, count in plan.sites.items()
        if count.found != count.rewritten + count.diagnosed + count.allowed
    ]


def unaccounted(plan: Plan, files: Iterable[str]) -> list[str]:
    """The names in `files`, as they were, that the plan neither edits nor speaks of, nor allows for a reason."""
    changes = {change.old_path: change for change in plan.files if change.old_path is not None}
    found: list[str] = []
    for path in files:
        change = changes.get(path)
        if change is not None and change.before is not None and path.endswith(SOURCE_SUFFIXES):
            found += _unaccounted(plan, change, path)
    return found


def _unaccounted(plan: Plan, change: FileChange, path: str) -> Iterator[str]:
    assert change.before is not None
    document = Document(path, change.before)
    touched = [edit.span for edit in change.edits]
    spoken_of = [diagnostic.span for diagnostic in plan.diagnostics if diagnostic.path == path]
    others = binding_spans(document)
    missing = [
        (span, name)
        for span, name in unstable_names(change.before)
        if not any(span.start <= place.end and place.start <= span.end for place in (*touched, *spoken_of, *others))
        and not in_legacy_branch(document, span.start)
    ]
    if len(missing) > plan.sites[path].allowed:
        for span, name in missing:
            yield f"{path}:{document.line(span.start)} {name}"
