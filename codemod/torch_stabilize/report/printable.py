"""Text from names and sources as it may be shown: nothing in it moves a cursor, hides a line or cannot be encoded."""

from __future__ import annotations

import re

# C0 and C1 controls, the marks that turn the direction of writing, line separators, and bytes that are not UTF-8.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """`text` with what is unsafe to show written as an escape: `\\x1b`, `\\u202e`; tabs and line ends stay."""
    return _UNSAFE.sub(_escape, text) if _UNSAFE.search(text) else text


def printable_line(text: str) -> str:
    """`text` as one line: line ends are escapes too."""
    return printable(text).replace("\n", "\\n")


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that did not decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
