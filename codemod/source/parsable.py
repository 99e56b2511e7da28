"""Whether a file is code that can be read at all; a grammar that merely stumbles is no reason to refuse."""

from __future__ import annotations

import re

from codemod.model import Refusal
from codemod.source.brackets import partners, plain_code
from codemod.source.document import Document

_BRACE = re.compile(rb"[{}]")
_WIDE = (b"\xff\xfe", b"\xfe\xff")


def refuse_unparsable(document: Document) -> None:
    """Raise Refusal with the place where `document` is no text, or has a brace that nothing opens or closes.

    Braces that only some branches of an `#if` open are counted as the preprocessor would see the first branch.
    """
    if document.data.startswith(_WIDE):
        raise Refusal(f"{document.path} is UTF-16; save it as UTF-8")
    if (zero := document.data.find(b"\0")) >= 0:
        raise Refusal(f"{document.path}:{document.line(zero)}: not text: a zero byte")
    code = plain_code(document)
    pairs = partners(document)
    closed = set(pairs.values())
    for brace in _BRACE.finditer(code):
        offset = brace.start()
        if offset not in pairs and offset not in closed:
            fate = "is never closed" if brace.group() == b"{" else "closes nothing"
            raise Refusal(
                f"{document.path}:{document.line(offset)}: cannot be parsed: this `{brace[0].decode()}` {fate}"
            )
