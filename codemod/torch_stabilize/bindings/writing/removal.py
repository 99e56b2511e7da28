"""Take lines out of a file and leave it tidy: no empty `#if`, no empty block, no doubled blank line."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate

from torch_stabilize.bindings.reading.model import Block
from torch_stabilize.bindings.reading.text import is_comment_line
from torch_stabilize.diff import split_lines
from torch_stabilize.model import Edit, Span
from torch_stabilize.source.conditions import read_conditionals
from torch_stabilize.source.document import Document

_OPENING = re.compile(rb"#\s*(?:if|ifdef|ifndef|else|elif)\b")


def removal_edits(
    document: Document, spans: Iterable[Span], rule: str, blocks: Iterable[Block] = ()
) -> tuple[Edit, ...]:
    """Edits that take out `spans` (whole lines each).

    A block of `blocks` and a conditional in which only comments and blank lines are left go as well.
    """
    sheet = _Sheet(document)
    for span in spans:
        sheet.remove(span)
    if not any(sheet.removed):
        return ()
    sheet.remove_hollow(list(blocks))
    sheet.close_gaps()
    return tuple(Edit(span, b"", rule) for span in sheet.spans())


class _Sheet:
    """The lines of a file, each kept or removed."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.starts = [0, *accumulate(map(len, split_lines(document.data)))]
        self.count = len(self.starts) - 1
        self.removed = [False] * self.count

    def _text(self, line: int) -> bytes:
        return self.document.data[self.starts[line] : self.starts[line + 1]].strip()

    def _lines(self, span: Span) -> range:
        first = bisect_right(self.starts, span.start) - 1
        last = bisect_left(self.starts, max(span.end, span.start + 1)) - 1
        return range(first, min(last, self.count - 1) + 1)

    def remove(self, span: Span) -> None:
        for line in self._lines(span):
            self.removed[line] = True

    def remove_hollow(self, blocks: list[Block]) -> None:
        """Remove conditionals and blocks that hold nothing any more, inner ones first."""
        conditionals = [c.span for c in read_conditionals(self.document) if not c.is_guard]
        hollow = [(span, self._directive_lines(span)) for span in conditionals]
        hollow += [(block.span, self._head_lines(block.span)) for block in blocks]
        for span, frame in sorted(hollow, key=lambda item: len(item[0])):
            lines = self._lines(span)
            inside = [line for line in lines if line not in frame]
            touched = any(self.removed[line] for line in inside)
            if touched and all(self.removed[line] or self._is_hollow(line) for line in inside):
                self._remove_with_comments(lines)

    def _directive_lines(self, span: Span) -> set[int]:
        found = set()
        for conditional in read_conditionals(self.document):
            if conditional.span == span:
                for branch in conditional.branches:
                    found |= set(self._lines(branch.directive.span))
        return found | {self._lines(span)[-1]}

    def _head_lines(self, span: Span) -> set[int]:
        brace = self.document.code.index(b"{", span.start)
        return {*self._lines(Span(span.start, brace + 1)), self._lines(span)[-1]}

    def _is_hollow(self, line: int) -> bool:
        return not self._text(line) or is_comment_line(self.document, self.starts[line], self.starts[line + 1])

    def _remove_with_comments(self, lines: range) -> None:
        """Remove `lines` and the comment directly above them, unless something follows that it may be about."""
        for line in lines:
            self.removed[line] = True
        following = lines[-1] + 1
        if following < self.count and self._text(following) and not self._text(following).startswith((b"}", b"#")):
            return
        above = lines[0] - 1
        while above >= 0 and is_comment_line(self.document, self.starts[above], self.starts[above + 1]):
            self.removed[above] = True
            above -= 1

    def close_gaps(self) -> None:
        """Where lines went, leave one blank line between what stood around them, and none at a brace."""
        line = 0
        while line < self.count:
            if not self.removed[line]:
                line += 1
                continue
            end = line
            while end < self.count and (self.removed[end] or not self._text(end)):
                end += 1
            begin = line
            while begin > 0 and not self._text(begin - 1) and not self.removed[begin - 1]:
                begin -= 1
            blanks = [i for i in range(begin, end) if not self.removed[i]]
            for blank in blanks[0 if self._no_blank_needed(begin - 1, end) else 1 :]:
                self.removed[blank] = True
            line = end

    def _no_blank_needed(self, before: int, after: int) -> bool:
        if before < 0 or after >= self.count:
            return True
        opens = self._text(before).endswith(b"{") or bool(_OPENING.match(self._text(before)))
        return opens or self._text(after).startswith(b"}")

    def spans(self) -> list[Span]:
        found: list[Span] = []
        for line in range(self.count):
            if not self.removed[line]:
                continue
            start, end = self.starts[line], self.starts[line + 1]
            if found and found[-1].end == start:
                found[-1] = Span(found[-1].start, end)
            else:
                found.append(Span(start, end))
        return found
