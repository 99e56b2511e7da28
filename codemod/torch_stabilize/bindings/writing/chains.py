"""Take operators out of `static auto r = torch::RegisterOperators().op(...).op(...);`: it stays one statement."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from torch_stabilize.bindings.reading.model import Block, Statement
from torch_stabilize.bindings.reading.text import comments_above
from torch_stabilize.model import Edit, Span
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_end, line_start

_BLANKS = b" \t"


def chain_removal(
    document: Document, block: Block, statements: Sequence[Statement], gone: Collection[Span], rule: str
) -> tuple[list[Span], list[Edit]]:
    """What is removed with the operators at `gone`, of all `statements` of the chain `block`: whole lines, and edits.

    The declaration is removed where none is left. Else its `;` moves to the last operator that is left, or stays where
    it is if that one is conditional.
    """
    staying = [s for s in statements if s.span not in gone]
    if not staying:
        first = line_start(document.data, block.span.start)
        above = comments_above(document, first, 0)
        return [Span(min(first, above.start), line_end(document.data, block.span.end - 1))], []
    lines: list[Span] = []
    edits: list[Edit] = []
    for statement in statements:
        span = statement.span
        if span not in gone:
            continue
        if document.data[span.start : span.start + 1] == b"(":
            edits.append(Edit(span, b"()", rule))  # RegisterOperators("ns::op", &f)
            continue
        ends = statement is statements[-1] and staying[-1].conditions == block.conditions
        upto = block.span.end if ends else span.end
        if _stands_alone(document, Span(span.start, upto)):
            lines.append(Span(statement.comments.start, statement.lines.end))
        else:
            edits.append(Edit(_with_blanks(document, Span(span.start, upto)), b"", rule))
        if ends:
            edits.append(Edit(Span(staying[-1].span.end, staying[-1].span.end), b";", rule))
    return lines, edits


def _stands_alone(document: Document, span: Span) -> bool:
    """Whether nothing but comments shares the lines of `span`."""
    before = document.code[line_start(document.data, span.start) : span.start]
    after = document.code[span.end : line_end(document.data, span.end - 1)]
    return not before.strip() and not after.strip()


def _with_blanks(document: Document, span: Span) -> Span:
    """`span` and the blanks before it, unless they indent a line that stays."""
    start = len(document.data[: span.start].rstrip(_BLANKS))
    is_indent = re.fullmatch(rb"[ \t]*", document.data[line_start(document.data, span.start) : span.start]) is not None
    return span if is_indent else Span(start, span.end)
