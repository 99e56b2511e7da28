"""Apply byte edits to one file. Their order does not matter; two that overlap are an error unless they are the same."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from torch_stabilize.model import Edit


class OverlapError(ValueError):
    """Two different edits want the same bytes, or two different insertions the same place."""

    def __init__(self, first: Edit, second: Edit) -> None:
        super().__init__(
            f"{first.rule} edits bytes {first.span.start}..{first.span.end} and "
            f"{second.rule} edits {second.span.start}..{second.span.end}"
        )
        self.first = first
        self.second = second


def settle(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """Edits in file order, each once.

    An insertion directly before or behind a replaced span is fine; two insertions at one place are ambiguous.
    Raises OverlapError.
    """
    unique = {(edit.span, edit.replacement): edit for edit in sorted(edits)}
    ordered = sorted(unique.values(), key=lambda edit: (edit.span.start, edit.span.end))
    for first, second in pairwise(ordered):
        same_place = first.span == second.span
        if same_place or second.span.start < first.span.end:
            raise OverlapError(first, second)
    return tuple(ordered)


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
