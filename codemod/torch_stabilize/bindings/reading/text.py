"""Small readings of C++ text that several modules of this room share: string literals, lines, comments."""

from __future__ import annotations

import re

from torch_stabilize.model import Span
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_end, line_start

_LITERAL = re.compile(
    r'\s*(?:(?:u8|[uUL])?R"(?P<tag>[^()\\\s]{0,16})\((?P<raw>.*?)\)(?P=tag)"|"(?P<plain>[^"\\]*(?:\\.[^"\\]*)*)")',
    re.DOTALL,
)
_JOINED_LINE = re.compile(r"\\\r?\n")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}


def string_value(text: str) -> str | None:
    """The value of adjacent string literals, or None where `text` is anything else."""
    text = text.rstrip()
    value, place = "", 0
    while place < len(text):
        match = _LITERAL.match(text, place)
        if match is None:
            return None
        value += match["raw"] if match["plain"] is None else _unescaped(match["plain"])
        place = match.end()
    return value if place else None


def _unescaped(plain: str) -> str:
    if "\\" not in plain:
        return plain
    return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), _JOINED_LINE.sub("", plain))


def is_comment_line(document: Document, start: int, end: int) -> bool:
    """Whether a line holds a comment and nothing else."""
    return bool(document.data[start:end].strip()) and not document.uncommented[start:end].strip()


def comments_above(document: Document, start: int, floor: int) -> Span:
    """The comment lines directly above the line that begins at `start`, not above `floor`."""
    top = start
    while top > floor:
        above = line_start(document.data, top - 1)
        if above < floor or not is_comment_line(document, above, top):
            break
        top = above
    return Span(top, start)


def comments_below(document: Document, end: int, ceiling: int) -> Span:
    """The comment lines directly below `end`, a line's end, unless code follows them directly: then they are its."""
    data = document.data
    bottom = end
    while bottom < ceiling and is_comment_line(document, bottom, line_end(data, bottom)):
        bottom = line_end(data, bottom)
    if bottom > ceiling:
        return Span(end, end)
    following = document.uncommented[bottom : line_end(data, bottom)].strip()
    if following and not following.startswith((b"#", b"}")):
        return Span(end, end)
    return Span(end, bottom)


def newline_of(data: bytes) -> bytes:
    """The line end a file uses."""
    return b"\r\n" if b"\r\n" in data else b"\n"


def decode(data: bytes) -> str:
    """Source bytes as text; what is no UTF-8 survives the way back through `encode`."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The inverse of `decode`."""
    return text.encode("utf-8", "surrogateescape")
