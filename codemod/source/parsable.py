"""Whether a file is code that can be read at all; a grammar that merely stumbles is no reason to refuse."""

from __future__ import annotations

from codemod.model import Refusal
from codemod.source.brackets import stray_braces
from codemod.source.document import Document

_WIDE = (b"\xff\xfe", b"\xfe\xff")


def refuse_unparsable(document: Document) -> None:
    """Raise Refusal with the place where `document` is no text, or has a brace that nothing opens or closes.

    Each branch of an `#if` may open and close braces of its own; what follows is read as after the first branch.
    """
    if document.data.startswith(_WIDE):
        raise Refusal(f"{document.path} is UTF-16; save it as UTF-8")
    if (zero := document.data.find(b"\0")) >= 0:
        raise Refusal(f"{document.path}:{document.line(zero)}: not text: a zero byte")
    for offset in stray_braces(document)[:1]:
        brace = document.code[offset : offset + 1]
        fate = "is never closed" if brace == b"{" else "closes nothing"
        raise Refusal(f"{document.path}:{document.line(offset)}: cannot be parsed: this `{brace.decode()}` {fate}")
