"""Which of its arguments a function returns, as its text says."""

from __future__ import annotations

import re
from collections.abc import Collection

from codemod.source.brackets import closing_bracket, split_spans
from codemod.source.patterns import word_start

_RETURN = re.compile(word_start(b"return") + rb"\b\s*(?P<value>[^;]*);")
_TUPLE = re.compile(
    rb"(?:std\s*::\s*)?(?:make_tuple|tie|forward_as_tuple|tuple\s*(?:<[^;]*>)?|pair\s*(?:<[^;]*>)?)\s*(?=[({])"
)
_MOVED = re.compile(rb"(?:std\s*::\s*)?move\s*\(\s*([A-Za-z_]\w*)\s*\)")
# `x.mul_(2)` is `x`, and so is what `at::mul_out(x, ...)` returns
_IN_PLACE = re.compile(rb"([A-Za-z_]\w*)\s*(?:\.\s*\w*[a-z0-9]_\s*\([^;]*\)\s*)+")
_OUT = re.compile(rb"(?:at|torch)\s*::\s*\w+_out\s*\(\s*([A-Za-z_]\w*)\s*,[^;]*\)")


def returned_arguments(body: bytes, parameters: Collection[str], count: int) -> tuple[str, ...]:
    """For each of `count` values the parameter that every `return` of `body` gives.

    "" where that is none of `parameters`, or they differ.
    """
    found = {_values(match["value"].strip(), parameters, count) for match in _RETURN.finditer(body)}
    return found.pop() if len(found) == 1 else ("",) * count


def _values(text: bytes, parameters: Collection[str], count: int) -> tuple[str, ...]:
    parts = [text]
    opening = _TUPLE.match(text)
    start = opening.end() if opening else 0
    if count > 1 and text[start : start + 1] in (b"(", b"{"):
        end = closing_bracket(text, start)
        parts = [text[part[0] : part[1]] for part in split_spans(text, start + 1, end)] if end > 0 else []
    names = tuple(_parameter(part.strip(), parameters) for part in parts)
    return names if len(names) == count else ("",) * count


def _parameter(text: bytes, parameters: Collection[str]) -> str:
    """The parameter that an expression is, "" for any other expression."""
    same = _MOVED.fullmatch(text) or _IN_PLACE.fullmatch(text) or _OUT.fullmatch(text)
    name = (same[1] if same else text).decode("utf-8", "replace")
    return name if name in parameters else ""
