"""Which bracket closes which, in code that the preprocessor may have cut up."""

from __future__ import annotations

import re
from typing import NamedTuple

from torch_stabilize.source.conditions import read_conditionals, read_directives
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.mask import blanked

_BRACKET = re.compile(rb"[()\[\]{}]")
_IN_ANGLES = re.compile(rb"[()\[\]{}<>;]")
_MAY_TAKE_ANGLES = re.compile(rb"[\w>]")
_BETWEEN_COMMAS = re.compile(rb"[()\[\]{},<]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"()[]{}")
_DEEP = 200  # levels of brackets up to which taking pairs out is the faster way
_CLOSES = dict(zip(b")]}", b"([{", strict=True))  # by byte


@per_document
def plain_code(document: Document) -> bytes:
    """The code without comments, literals, preprocessor lines and the backslashes that join lines, offsets kept."""
    directives = [(directive.span.start, directive.span.end) for directive in read_directives(document)]
    return blanked(document.code, directives).replace(b"\\", b" ")


def is_one_group(text: str) -> bool:
    """Whether the parenthesis that `text` begins with is closed by its last character."""
    depth = 0
    for index, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and index < len(text) - 1:
            return False
    return True


def partners(document: Document) -> dict[int, int]:
    """For each opening bracket of `plain_code` the offset of the one that closes it, in the first arm that does."""
    return _match_brackets(document).closing


def stray_brackets(document: Document) -> tuple[int, ...]:
    """The offsets of the brackets of `plain_code` that nothing opens or closes, braces first.

    A conditional with unequal brackets has its other half elsewhere: what is in one is not counted.
    """
    code, conditionals = plain_code(document), read_conditionals(document)
    arms = (code[branch.body.start : branch.body.end] for c in conditionals for branch in c.branches)
    if _is_balanced(code) and all(map(_is_balanced, arms)):
        return ()
    matching = _match_brackets(document)
    closers = matching.closers.union(matching.closing.values())
    halves = [c.span for c in conditionals if any(_unequal(code[b.body.start : b.body.end]) for b in c.branches)]
    found = [
        offset
        for offset in (bracket.start() for bracket in _BRACKET.finditer(code))
        if offset not in matching.closing
        and offset not in closers
        and not any(half.start <= offset < half.end for half in halves)
    ]
    return tuple(sorted(found, key=lambda offset: code[offset] not in b"{}"))  # what else is open follows from a brace


def _is_balanced(code: bytes) -> bool:
    """Whether every bracket of `code` has its partner there: pairs are taken out, the inner ones first.

    False where they are too deep to tell.
    """
    left = code.translate(None, _NO_BRACKETS)
    for _ in range(_DEEP):
        if not left:
            return True
        rest = left.replace(b"()", b"").replace(b"[]", b"").replace(b"{}", b"")
        if rest == left:
            return False
        left = rest
    return not left


def _unequal(code: bytes) -> bool:
    return any(bracket_excess(code))


def bracket_excess(code: bytes) -> tuple[int, int, int]:
    """How many more brackets masked code opens than it closes: round ones, square ones, braces."""
    count = code.count
    return count(b"(") - count(b")"), count(b"[") - count(b"]"), count(b"{") - count(b"}")


class _Matching(NamedTuple):
    closing: dict[int, int]
    closers: set[int]


# The brackets open at one place, innermost last. Those that the arms of an `#if` open at the same depth and close
# behind it together stand in one entry.
_Open = list[tuple[int, tuple[int, ...]]]


@per_document
def _match_brackets(document: Document) -> _Matching:
    """Match the brackets of every arm of an `#if` as if it alone were compiled."""
    matching = _Matching({}, set())
    code, place = plain_code(document), 0
    stack: _Open = []
    before: list[_Open] = []  # per `#if` around: what was open there
    after: list[list[_Open]] = []  # and what each finished arm left open
    for directive in read_directives(document):
        opens, closes = directive.kind.startswith("if"), directive.kind == "endif"
        if not (opens or ((closes or directive.kind.startswith("el")) and before)):
            continue
        _match_stretch(code, place, directive.span.start, stack, matching)
        place = directive.span.end
        if opens:
            before.append(list(stack))
            after.append([])
            continue
        after[-1].append(stack)
        stack = _joined(after.pop()) if closes else list(before[-1])
        if closes:
            before.pop()
    _match_stretch(code, place, len(code), stack, matching)
    return matching


def _match_stretch(code: bytes, start: int, end: int, stack: _Open, matching: _Matching) -> None:
    """Match the brackets of `code[start:end]`, without a conditional in it, where those of `stack` are open."""
    closing, closers = matching.closing, matching.closers
    if not stack and _is_balanced(code[start:end]):
        offsets = [match.start() for match in _BRACKET.finditer(code, start, end)]
        waiting: list[int] = []
        for offset, bracket in zip(offsets, code[start:end].translate(None, _NO_BRACKETS), strict=True):
            if bracket in _CLOSES:
                closing[waiting.pop()] = offset
            else:
                waiting.append(offset)
        return
    for match in _BRACKET.finditer(code, start, end):
        offset = match.start()
        opened = _CLOSES.get(code[offset])
        if opened is None:
            stack.append((code[offset], (offset,)))
            continue
        if stack and stack[-1][0] == opened:
            closers.add(offset)
            for opening in stack.pop()[1]:
                closing.setdefault(opening, offset)
            continue
        depth = len(stack) - 1
        while depth >= 0 and stack[depth][0] != opened:
            depth -= 1
        if depth >= 0:
            closers.add(offset)
            for opening in stack[depth][1]:
                closing.setdefault(opening, offset)
            del stack[depth:]


def _joined(arms: list[_Open]) -> _Open:
    """What is open behind an `#endif`: what the first arm left, and with it what the others left at the same depth."""
    first = arms[0]
    same = [arm for arm in arms if [opened for opened, _ in arm] == [opened for opened, _ in first]]
    return [
        (opened, tuple(dict.fromkeys(start for arm in same for start in arm[depth][1])))
        for depth, (opened, _) in enumerate(first)
    ]


def closing_bracket(code: bytes, start: int) -> int:
    """The offset in masked code of the bracket that closes the first opened at or after `start`; -1 if none does."""
    depth = 0
    for match in _BRACKET.finditer(code, start):
        depth += 1 if match.group() in b"([{" else -1
        if depth <= 0:
            return match.start() if depth == 0 else -1
    return -1


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
    kept = text.lstrip()
    first = start + len(text) - len(kept)
    return first, first + len(kept.rstrip())
