"""The arguments of a macro or a call, by brackets and commas: also where the grammar cannot follow."""

from __future__ import annotations

import re

from torch_stabilize.model import Span
from torch_stabilize.source.brackets import closing_bracket
from torch_stabilize.source.document import Document

_MARK = re.compile(rb"[(\[{,]")
_CONTINUED = re.compile(rb"\\\r?\n")


def argument_spans(document: Document, opening: int) -> tuple[Span, ...]:
    """The spans of the arguments between the parenthesis at `opening` and its partner, blanks trimmed."""
    first, last = opening + 1, closing_bracket(document.code, opening)
    code = _CONTINUED.sub(lambda match: b" " * len(match[0]), document.code[first : max(first, last)])
    start = place = 0
    bounds: list[tuple[int, int]] = []
    while match := _MARK.search(code, place):
        place = match.end()
        if match.group() != b",":
            place = closing_bracket(code, match.start()) + 1
        elif not _inside_template(code, start, match.start()):
            bounds.append((start, match.start()))
            start = place
    parts = [(start, code[start:end]) for start, end in [*bounds, (start, len(code))]]
    return tuple(
        Span(first + start + len(part) - len(part.lstrip()), first + start + len(part.rstrip()))
        for start, part in parts
        if part.strip()
    )


def _inside_template(code: bytes, start: int, comma: int) -> bool:
    """Whether the comma is between the angle brackets of a template argument list: `f<a, b>(c)`."""
    before = code[start:comma]
    opened = re.search(rb"[A-Za-z_]\w*\s*<(?![<=])[^<>()]*(?:<[^<>()]*>[^<>()]*)*$", before)
    if not opened:
        return False
    return bool(re.match(rb",[^<>();]*(?:<[^<>()]*>[^<>();]*)*>\s*[({:]", code[comma : comma + 200]))
