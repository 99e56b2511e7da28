"""Lay generated C++ out the way the repository does, or plainly where it does not say how."""

from __future__ import annotations

import functools
import re

from codemod.repository.snapshot import Snapshot
from codemod.source import formatting
from codemod.source.document import Document

_PLAIN = b"{BasedOnStyle: Google, ColumnLimit: 80, DerivePointerAlignment: false, PointerAlignment: Left}\n"
_NOTHING = Document("bindings.cpp", b"")
_MARK = "//!"
_MARK_LINE = re.compile(rf"^[ \t]*{_MARK}\n", re.MULTILINE)


def style_for(snapshot: Snapshot, path: str) -> bytes:
    """The clang-format style for what is generated into `path`."""
    return formatting.style_for(snapshot, path) or _PLAIN


@functools.lru_cache(maxsize=1024)
def formatted(text: str, style: bytes, *, head: str = "") -> str:
    """`text` formatted; `head` is a line that opens a brace around it (`void f() {`), not part of the result.

    Raises Refusal where clang-format is missing.
    """
    if not head:
        return _run(text, style)
    _, body, _ = _MARK_LINE.split(_run(_framed(head, text), style))
    return body.rstrip("\n")


def formatted_block(head: str, body: str, style: bytes) -> str:
    """`head`, which opens a brace, with `body` on lines of its own and the closing brace, formatted.

    Raises Refusal where clang-format is missing.
    """
    return "".join(_MARK_LINE.split(_run(_framed(head, body), style))).rstrip("\n")


def _framed(head: str, body: str) -> str:
    """A block with marks that keep a short body from being joined to its head."""
    return f"{head}\n{_MARK}\n{body}\n{_MARK}\n}}\n"


def _run(text: str, style: bytes) -> str:
    done = formatting.format_changed(_NOTHING, text.encode("utf-8", "surrogateescape"), style)
    return done.decode("utf-8", "surrogateescape")
