"""Lay generated C++ out the way the repository does, or plainly where it does not say how."""

from __future__ import annotations

import functools
import re

from codemod.repository.snapshot import Snapshot
from codemod.source import formatting

_PLAIN = b"{BasedOnStyle: Google, ColumnLimit: 80, DerivePointerAlignment: false, PointerAlignment: Left}\n"
_MARK = "//!"


def style_for(snapshot: Snapshot, path: str) -> bytes:
    """The clang-format style for what is generated into `path`."""
    return formatting.style_for(snapshot, path) or _PLAIN


@functools.lru_cache(maxsize=1024)
def formatted(text: str, style: bytes, *, head: str = "") -> str:
    """`text` formatted; `head` is a line that opens a brace around it (`void f() {`), not part of the result.

    Raises Refusal where clang-format is missing.
    """
    framed = f"{head}\n{_MARK}\n{text}\n{_MARK}\n}}\n" if head else text
    done = formatting.format_changed("bindings.cpp", b"", framed.encode("utf-8", "surrogateescape"), style)
    result = done.decode("utf-8", "surrogateescape")
    if not head:
        return result
    # the marks keep a short body from being joined to its head
    _, body, _ = re.split(rf"^[ \t]*{_MARK}\n", result, flags=re.MULTILINE)
    return body.rstrip("\n")
