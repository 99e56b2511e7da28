"""Whether a file is code that can be read at all; a grammar that merely stumbles is no reason to refuse."""

from __future__ import annotations

import re

from torch_stabilize.model import Refusal
from torch_stabilize.source.brackets import plain_code, stray_brackets
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import Document

_NO_CHARACTER = "\ufffd".encode()
_WIDE = (b"\xff\xfe", b"\xfe\xff")
# a name that is made a text, `#line`, is no directive
_DIRECTIVE = re.compile(rb"#[ \t]*(?:include|define|undef|pragma|if|ifdef|ifndef|elif|else|endif)\b")


def refuse_unparsable(document: Document) -> None:
    """Raise Refusal where `document` or its name is no text, or has a stray bracket or a directive behind code.

    It names the place.

    Each branch of an `#if` may open and close brackets of its own; what follows is read as after the first branch.
    """
    if not is_nameable(document.path):
        raise Refusal(f"{document.path}: the name is not UTF-8, so no build file can name it: rename it first")
    if document.data.startswith(_WIDE):
        raise Refusal(f"{document.path} is UTF-16; save it as UTF-8")
    if (zero := document.data.find(b"\0")) >= 0:
        raise Refusal(f"{document.path}:{document.line(zero)}: not text: a zero byte")
    for offset in stray_brackets(document)[:1]:
        bracket = document.code[offset : offset + 1]
        fate = "is never closed" if bracket in b"([{" else "closes nothing"
        raise Refusal(f"{document.path}:{document.line(offset)}: cannot be parsed: this `{bracket.decode()}` {fate}")
    for found in _DIRECTIVE.finditer(plain_code(document)):  # those at the start of a line are blank there
        if "#if 0" not in conditions_at(document, found.start()):
            line, text = document.line(found.start()), found[0].decode()
            raise Refusal(f"{document.path}:{line}: cannot be parsed: `{text}` in the middle of a line is no directive")


def is_nameable(path: str) -> bool:
    """Whether a path is text, and can be written into a build file."""
    return not any("\udc80" <= character <= "\udcff" for character in path)


def refuse_unwritable(document: Document, after: bytes) -> None:
    """Raise Refusal where new text would have a mark in place of bytes of the code that are not UTF-8."""
    if _NO_CHARACTER in after and _NO_CHARACTER not in document.data:
        raise Refusal(f"{document.path}: not UTF-8 outside of comments and literals; save it as UTF-8")
