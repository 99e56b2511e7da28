"""The arguments of a macro or a call, by brackets and commas: also where the grammar cannot follow."""

from __future__ import annotations

import re

from codemod.model import Span
from codemod.source.document import Document


def argument_spans(document: Document, opening: int) -> tuple[Span, ...]:
    """The spans of the arguments between the parenthesis at `opening` and its partner, blanks trimmed."""
    code = document.code
    depth, index, start = 0, opening, opening + 1
    spans: list[Span] = []

    def close(end: int) -> None:
        raw = code[start:end].replace(b"\\\n", b"  ").replace(b"\\\r\n", b"   ")
        left = len(raw) - len(raw.lstrip())
        right = len(raw.rstrip())
        if right > left:
            spans.append(Span(start + left, start + right))

    while index < len(code):
        byte = code[index : index + 1]
        if byte in b"([{":
            depth += 1
        elif byte in b")]}":
            depth -= 1
            if depth == 0:
                close(index)
                return tuple(spans)
        elif byte == b"," and depth == 1 and not _inside_template(code, start, index):
            close(index)
            start = index + 1
        index += 1
    return tuple(spans)


def _inside_template(code: bytes, start: int, comma: int) -> bool:
    """Whether the comma stands between the angle brackets of a template argument list: `f<a, b>(c)`."""
    before = code[start:comma]
    opened = re.search(rb"[A-Za-z_]\w*\s*<(?![<=])[^<>()]*(?:<[^<>()]*>[^<>()]*)*$", before)
    if not opened:
        return False
    return bool(re.match(rb",[^<>();]*(?:<[^<>()]*>[^<>();]*)*>\s*[({:]", code[comma : comma + 200]))
