"""Apply byte edits to one file. Their order does not matter.

Two that overlap are an error, unless they are the same or both delete only: what both take out is taken out once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from torch_stabilize.model import Edit, Span

_INCLUDES = "TSA00"  # the rules that write include lines


class OverlapError(ValueError):
    """Two different edits overlap, or two different insertions have the same place."""

    def __init__(self, first: Edit, second: Edit) -> None:
        super().__init__(
            f"{first.rule} edits bytes {first.span.start}..{first.span.end} and "
            f"{second.rule} edits {second.span.start}..{second.span.end}"
        )
        self.first = first
        self.second = second


def settle(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """Edits in file order, each once; deletions that overlap are one.

    An insertion directly before or behind a replaced span is fine; two insertions at one place are ambiguous.
    Raises OverlapError.
    """
    unique = {(edit.span, edit.replacement): edit for edit in sorted(edits)}
    ordered: list[Edit] = []
    for edit in sorted(unique.values(), key=lambda edit: (edit.span.start, edit.span.end)):
        last = ordered[-1] if ordered else None
        if last is not None and _delete_alike(last, edit):
            ordered[-1] = replace(last, span=Span(last.span.start, max(last.span.end, edit.span.end)))
        else:
            ordered.append(edit)
    for first, second in pairwise(ordered):
        same_place = first.span == second.span
        if same_place or second.span.start < first.span.end:
            raise OverlapError(first, second)
    return tuple(ordered)


def _delete_alike(first: Edit, second: Edit) -> bool:
    """Whether both delete, and some of the same bytes: rooms that tidy up around what they take out meet there."""
    deletes = all(not edit.replacement and len(edit.span) for edit in (first, second))
    return deletes and second.span.start < first.span.end


def includes_first(edits: Iterable[Edit]) -> list[Edit]:
    """`edits`, of which those that insert include lines where something else is inserted too are one with that."""
    found: dict[Span, list[Edit]] = {}
    for edit in dict.fromkeys(edits):
        found.setdefault(edit.span, []).append(edit)
    return [one for span, several in found.items() for one in (_joined(span, several) if not len(span) else several)]


def _joined(span: Span, several: list[Edit]) -> list[Edit]:
    lines = [edit for edit in several if edit.rule.startswith(_INCLUDES)]
    others = [edit for edit in several if not edit.rule.startswith(_INCLUDES)]
    if not lines or len(several) == 1 or len(others) > 1:
        return several
    text = b"".join(edit.replacement for edit in sorted(lines) + others)
    return [replace((*others, *lines)[0], replacement=text)]


def apply(data: bytes, edits: Iterable[Edit]) -> bytes:
    """`data` with every edit done. Raises OverlapError, or ValueError where an edit lies outside of `data`."""
    pieces: list[bytes] = []
    done = 0
    for edit in settle(edits):
        if edit.span.end > len(data):
            raise ValueError(f"{edit.rule} edits bytes up to {edit.span.end} of a file of {len(data)}")
        pieces += [data[done : edit.span.start], edit.replacement]
        done = edit.span.end
    pieces.append(data[done:])
    return b"".join(pieces)
