"""Where the lines of a file begin and end, and spans that make one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

from torch_stabilize.model import Span


def line_start(data: bytes, offset: int) -> int:
    """Where the line of `offset` begins."""
    return data.rfind(b"\n", 0, offset) + 1


def line_end(data: bytes, offset: int) -> int:
    """Where the line of `offset` ends, its line end included."""
    return data.find(b"\n", offset) + 1 or len(data)


def whole_lines(data: bytes, span: Span) -> Span:
    """The lines that `span` has a part in, line ends included."""
    return Span(line_start(data, span.start), line_end(data, max(span.start, span.end - 1)))


def with_line(data: bytes, span: Span) -> Span:
    """`span` with all of its lines where nothing else is on them."""
    start, end = line_start(data, span.start), data.find(b"\n", span.end)
    alone = end >= 0 and not data[start : span.start].strip() and not data[span.end : end].strip()
    return Span(start, end + 1) if alone else span


def merged(spans: Iterable[Span]) -> list[Span]:
    """`spans` in order, those that touch or overlap joined."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


class Spans:
    """Spans to ask whether one of them holds another."""

    def __init__(self, spans: Iterable[Span]) -> None:
        ordered = sorted(spans)
        self._starts = [span.start for span in ordered]
        self._ends = list(accumulate((span.end for span in ordered), max))  # of those that start here or before

    def hold(self, span: Span) -> bool:
        """Whether one of the spans contains `span`."""
        place = bisect_right(self._starts, span.start) - 1
        return place >= 0 and self._ends[place] >= span.end
