"""Which bracket closes which, in code that the preprocessor may have cut up."""

from __future__ import annotations

import functools
import re

from codemod.source.conditions import read_conditionals, read_directives
from codemod.source.document import Document

_BRACKET = re.compile(rb"[()\[\]{}]")
_IN_ANGLES = re.compile(rb"[()\[\]{}<>;]")
_MAY_TAKE_ANGLES = re.compile(rb"[\w>]")
_BETWEEN_COMMAS = re.compile(rb"[()\[\]{},<]")
_CLOSES = {b")": b"(", b"]": b"[", b"}": b"{"}
_INK = re.compile(rb"[^\n\r]")


@functools.lru_cache(maxsize=1024)
def plain_code(document: Document) -> bytes:
    """The code without comments, literals and preprocessor lines, offsets kept.

    Where the arms of an `#if` each open a brace that closes behind it, all arms but the first are blanked too.
    """
    code = bytearray(document.code)
    for directive in read_directives(document):
        _blank(code, directive.span.start, directive.span.end)
    for conditional in read_conditionals(document):
        arms = [bytes(code[b.body.start : b.body.end]) for b in conditional.branches]
        if len(arms) > 1 and any(arm.count(b"{") > arm.count(b"}") for arm in arms):
            for branch in conditional.branches[1:]:
                _blank(code, branch.body.start, branch.body.end)
    return bytes(code)


@functools.lru_cache(maxsize=1024)
def partners(document: Document) -> dict[int, int]:
    """For each opening bracket of `plain_code` the offset of the one that closes it."""
    found: dict[int, int] = {}
    stack: list[tuple[bytes, int]] = []
    for match in _BRACKET.finditer(plain_code(document)):
        bracket = match.group()
        if bracket not in _CLOSES:
            stack.append((bracket, match.start()))
            continue
        wanted = _CLOSES[bracket]
        if stack and stack[-1][0] == wanted:
            found[stack.pop()[1]] = match.start()
            continue
        if not any(opened == wanted for opened, _ in stack):
            continue
        while stack:
            opened, start = stack.pop()
            if opened == wanted:
                found[start] = match.start()
                break
    return found


def _blank(code: bytearray, start: int, end: int) -> None:
    code[start:end] = _INK.sub(b" ", bytes(code[start:end]))


def closing_angle(code: bytes, opening: int, end: int | None = None) -> int:
    """The offset before `end` of the `>` that closes the `<` at `opening`, or -1."""
    depth, round_depth = 0, 0
    for match in _IN_ANGLES.finditer(code, opening, len(code) if end is None else end):
        index, character = match.start(), match.group()
        if character in b"([{":
            round_depth += 1
        elif character in b")]}":
            round_depth -= 1
            if round_depth < 0:
                return -1
        elif round_depth == 0 and character == b"<":
            depth += 1
        elif round_depth == 0 and character == b">" and code[index - 1 : index] != b"-":
            depth -= 1
            if depth == 0:
                return index
        elif character == b";" and round_depth == 0:
            return -1
    return -1


def split_spans(code: bytes, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """The comma-separated parts of `code[start:end]`, commas inside brackets and template lists left alone."""
    parts: list[tuple[int, int]] = []
    depth, begin, index = 0, start, start
    while match := _BETWEEN_COMMAS.search(code, index, end):
        index, character = match.start(), match.group()
        if character in b"([{":
            depth += 1
        elif character in b")]}":
            depth -= 1
        elif character == b"<" and _MAY_TAKE_ANGLES.match(code[begin:index].rstrip()[-1:]):
            close = closing_angle(code, index, end)
            if close > 0:
                index = close
        elif character == b"," and depth == 0:
            parts.append((begin, index))
            begin = index + 1
        index += 1
    if code[begin:end].strip() or parts:
        parts.append((begin, end))
    return tuple(_trimmed(code, first, last) for first, last in parts)


def _trimmed(code: bytes, start: int, end: int) -> tuple[int, int]:
    text = code[start:end]
    left = len(text) - len(text.lstrip())
    return start + left, max(start + left, start + len(text.rstrip()))
