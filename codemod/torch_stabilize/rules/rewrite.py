"""Rewrites that nest: a replacement is text with holes, and each hole keeps a stretch of the source, itself rewritten.

`x.contiguous().view({-1, d})` becomes one expression of free functions because the rewrite of `view` keeps the span of
its receiver, and the rewrite of `contiguous` lies inside of it. Flattened, a nest is a list of small edits: what both
sides share stays untouched.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch_stabilize.model import Confidence, Edit, Span
from torch_stabilize.source.spans import Spans


@dataclass(frozen=True)
class Copy:
    """The source of `span`, rewritten, once more at another place: a dtype that was given to an options variable."""

    span: Span


Part = bytes | Span | Copy


class Rewrite(NamedTuple):
    """Replace `span` by `parts`: new bytes, and spans within `span` whose own rewrites apply.

    `includes` are headers the new text needs; `helpers` names of project helpers (`torch_stabilize.rules.helpers`); `also` are
    rewrites elsewhere in the file that only make sense together with this one.
    """

    span: Span
    parts: tuple[Part, ...]
    rule: str
    confidence: Confidence = Confidence.SAFE
    includes: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()
    also: tuple[Rewrite, ...] = ()
    one_world: bool = False  # right in the stable build alone: a shared header has to switch

    @property
    def holes(self) -> tuple[Span, ...]:
        """The kept spans."""
        return tuple(part for part in self.parts if isinstance(part, Span))

    def claims(self, span: Span) -> bool:
        """Whether `span` lies in what this rewrite replaces, outside of its holes."""
        return self.span.contains(span) and not any(hole.contains(span) for hole in self.holes)

    def keeps(self, span: Span) -> bool:
        """Whether what is at `span` is kept in the new text, where it was or at another place."""
        kept = (part.span if isinstance(part, Copy) else part for part in self.parts if not isinstance(part, bytes))
        return any(part.contains(span) for part in kept)


@dataclass(frozen=True)
class Nest:
    """Rewrites that do not collide, each inside a hole of the one around it; `dropped` lost to an outer one."""

    kept: tuple[Rewrite, ...]
    dropped: tuple[Rewrite, ...]


def nest(rewrites: Iterable[Rewrite]) -> Nest:
    """Sort out rewrites that overlap: the outer one wins over what it replaces, the first over an equal one."""
    ordered = sorted(rewrites, key=lambda r: (r.span.start, -r.span.end))
    kept: list[Rewrite] = []
    dropped: list[Rewrite] = []
    stack: list[Rewrite] = []
    for rewrite in ordered:
        while stack and stack[-1].span.end <= rewrite.span.start and stack[-1].span != rewrite.span:
            stack.pop()
        outer = stack[-1] if stack else None
        if outer is None or any(hole.contains(rewrite.span) for hole in outer.holes):
            kept.append(rewrite)
            stack.append(rewrite)
        else:
            dropped.append(rewrite)
    return Nest(tuple(kept), tuple(dropped))


def flatten(
    rewrites: Sequence[Rewrite],
    data: bytes,
    macro_bodies: Sequence[Span] = (),
    everything: Sequence[Rewrite] = (),
) -> tuple[Edit, ...]:
    """The edits that do a nest's work, in file order.

    New text that falls into one of `macro_bodies` gets its line ends continued. `everything` adds the rewrites that lost
    to an outer one: what is copied from there is rewritten all the same.
    """
    return _Flattening(rewrites, data, Spans(macro_bodies), Rewrites(everything or rewrites)).edits()


class Rewrites:
    """Rewrites to ask for those within a span."""

    def __init__(self, rewrites: Iterable[Rewrite]) -> None:
        self._ordered = sorted(rewrites, key=lambda r: r.span.start)  # of one place the first stays first
        self._starts = [rewrite.span.start for rewrite in self._ordered]

    def within(self, span: Span) -> Iterator[Rewrite]:
        """The rewrites that `span` contains, by their start."""
        for rewrite in self._ordered[bisect_left(self._starts, span.start) : bisect_right(self._starts, span.end)]:
            if rewrite.span.end <= span.end:
                yield rewrite


class Nested:
    """Rewrites of a nest, to ask for those around a span."""

    def __init__(self, rewrites: Iterable[Rewrite]) -> None:
        self._ordered = sorted(rewrites, key=lambda r: (r.span.start, -r.span.end))
        self._starts = [rewrite.span.start for rewrite in self._ordered]
        self._parents: list[int] = []
        stack: list[int] = []
        for place, rewrite in enumerate(self._ordered):
            while stack and self._ordered[stack[-1]].span.end <= rewrite.span.start:
                stack.pop()
            self._parents.append(stack[-1] if stack else -1)
            stack.append(place)

    def around(self, span: Span) -> Iterator[Rewrite]:
        """The rewrites that contain `span`, which is not empty, the innermost first."""
        place = bisect_right(self._starts, span.start) - 1
        while place >= 0:
            if self._ordered[place].span.contains(span):
                yield self._ordered[place]
            place = self._parents[place]


class _Flattening:
    """One walk over a nest's rewrites, outer before inner, in file order.

    `source` has the rewrites of what is written a second time, but for those of `without`.
    """

    def __init__(
        self,
        rewrites: Sequence[Rewrite],
        data: bytes,
        macro_bodies: Spans,
        source: Rewrites,
        without: tuple[Rewrite, ...] = (),
    ) -> None:
        self._ordered = sorted(rewrites, key=lambda r: (r.span.start, -r.span.end))
        self._data, self._macro_bodies, self._source, self._without = data, macro_bodies, source, without
        self._position = 0  # of the rewrite that is next
        self._edits: list[Edit] = []

    def edits(self) -> tuple[Edit, ...]:
        self._within(Span(0, len(self._data)))
        return tuple(self._edits)

    def _within(self, span: Span, around: Span | None = None) -> None:
        """Apply the rewrites in `span`, but for an insertion behind the whole of what is rewritten `around` it."""
        while self._next_starts_before(span.start):
            self._position += 1
        while self._next_is_in(span):
            rewrite = self._ordered[self._position]
            if around is not None and rewrite.span.start == around.end > around.start:
                break
            self._position += 1
            self._apply(rewrite)

    def _apply(self, rewrite: Rewrite) -> None:
        in_order = all(a.end <= b.start for a, b in zip(rewrite.holes, rewrite.holes[1:], strict=False))
        if in_order:
            self._apply_in_place(rewrite)
        else:
            copied = (part.span if isinstance(part, Copy) else part for part in rewrite.parts)
            texts = (part if isinstance(part, bytes) else self._rendered(part, rewrite) for part in copied)
            self._emit(rewrite.span, b"".join(texts), self._as_sure_as_all(rewrite))
        self._skip(rewrite.span)

    def _apply_in_place(self, rewrite: Rewrite) -> None:
        """New text between the holes; what is in the holes stays where it is, with rewrites of its own."""
        cursor, pending = rewrite.span.start, b""
        for part in rewrite.parts:
            if isinstance(part, bytes):
                pending += part
            elif isinstance(part, Copy):
                pending += self._rendered(part.span, rewrite)
            else:
                self._emit(Span(cursor, part.start), pending, rewrite)
                self._within(part, rewrite.span)
                cursor, pending = part.end, b""
        self._emit(Span(cursor, rewrite.span.end), pending, rewrite)

    def _as_sure_as_all(self, rewrite: Rewrite) -> Rewrite:
        """A rewrite of new text that holds others: to be reviewed where one of them is."""
        inside = (other for other in self._ordered if rewrite.span.contains(other.span))
        doubtful = next((other for other in inside if other.confidence is not Confidence.SAFE), None)
        if rewrite.confidence is not Confidence.SAFE or doubtful is None:
            return rewrite
        return rewrite._replace(rule=doubtful.rule, confidence=doubtful.confidence)

    def _rendered(self, span: Span, around: Rewrite) -> bytes:
        """The bytes of `span` with the rewrites inside of it done, `around` itself left out."""
        without = (*self._without, around)
        inside = nest(r for r in self._source.within(span) if not any(r is one for one in without)).kept
        out, cursor = b"", span.start
        for edit in _Flattening(inside, self._data, Spans(()), self._source, without).edits():
            out += self._data[cursor : edit.span.start] + edit.replacement
            cursor = edit.span.end
        return out + self._data[cursor : span.end]

    def _skip(self, span: Span) -> None:
        """Pass over the rewrites in `span`, but for an insertion behind it."""
        while self._next_is_in(span):
            if self._ordered[self._position].span.start == span.end > span.start:
                break
            self._position += 1

    def _next_starts_before(self, place: int) -> bool:
        return self._position < len(self._ordered) and self._ordered[self._position].span.start < place

    def _next_is_in(self, span: Span) -> bool:
        return self._position < len(self._ordered) and span.contains(self._ordered[self._position].span)

    def _emit(self, span: Span, text: bytes, rewrite: Rewrite) -> None:
        if self._macro_bodies.hold(span):
            text = text.replace(b"\n", b" \\\n")
        if self._data[span.start : span.end] == text:
            return
        edit = Edit(span, text, rewrite.rule, rewrite.confidence)
        if self._edits and self._edits[-1].span.end == span.start and (not len(span) or not len(self._edits[-1].span)):
            last = self._edits.pop()
            confidence = last.confidence if last.confidence != Confidence.SAFE else edit.confidence
            edit = Edit(Span(last.span.start, span.end), last.replacement + text, last.rule, confidence)
        self._edits.append(edit)
