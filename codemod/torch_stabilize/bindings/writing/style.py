"""Lay generated C++ out the way the repository does, or plainly where it does not say how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from torch_stabilize.formatting import clang_format as formatting
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import Document

_PLAIN = b"{BasedOnStyle: Google, ColumnLimit: 80, DerivePointerAlignment: false, PointerAlignment: Left}\n"
_NOTHING = Document("bindings.cpp", b"")
_MARK = "//!"


def style_for(snapshot: Snapshot, path: str) -> bytes:
    """The clang-format style for what is generated into `path`."""
    return formatting.style_for(snapshot, path) or _PLAIN


class Braced(NamedTuple):
    """C++ in braces: `head` opens them (`void f() {`) and `tail` closes them, each on lines of its own."""

    head: str
    body: str
    tail: str = "}"

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join((self.head, self.body, self.tail))


def formatted(text: str, style: bytes) -> str:
    """`text` formatted. Raises Refusal where clang-format is missing."""
    done = formatting.format_changed(_NOTHING, text.encode("utf-8", "surrogateescape"), style)
    return done.decode("utf-8", "surrogateescape")


def formatted_together(found: Sequence[Braced], style: bytes) -> list[Braced]:
    """Each of `found` formatted, in one run of clang-format: its start takes longer than its work.

    Marks between the parts keep a short body from being joined to its head. Raises Refusal where clang-format is
    missing.
    """
    if not found:
        return []
    mark = _MARK
    while any(mark in one.text for one in found):
        mark += _MARK[-1]
    text = f"\n{mark}\n".join(part for one in found for part in (one.head, one.body, one.tail))
    parts = re.split(rf"^[ \t]*{mark}\n", formatted(f"{text}\n", style), flags=re.MULTILINE)
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return [Braced(head.strip("\n"), body.rstrip("\n"), tail.strip("\n")) for head, body, tail in triples]
