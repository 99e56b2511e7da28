"""Where the parentheses of a call end, in masked code."""

from __future__ import annotations


def closing_parenthesis(code: bytes, start: int) -> int:
    """The offset of the parenthesis that closes the first one opened at or after `start`; -1 if none does."""
    depth = 0
    for index in range(start, len(code)):
        byte = code[index]
        if byte in b"([{":
            depth += 1
        elif byte in b")]}":
            depth -= 1
            if depth == 0:
                return index
            if depth < 0:
                return -1
    return -1
