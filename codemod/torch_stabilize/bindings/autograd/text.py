"""Looking at the bodies of methods: calls of a context, and texts that are looked for outside of comments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch_stabilize.bindings.autograd.body import is_statement
from torch_stabilize.source.brackets import closing_bracket, split_spans
from torch_stabilize.source.document import words_of
from torch_stabilize.source.mask import mask, mask_comments

GUARD = re.compile(
    rb"[ \t]*(?:(?:at|c10)\s*::\s*)?AutoDispatchBelow(?:ADInplaceOrView|Autograd)\s+\w+(?:\{\})?\s*;[ \t]*\n?"
)
UNDEFINED = re.compile(
    rb"(?:(?:torch|at)\s*::\s*)?(?:autograd\s*::\s*)?(?:Tensor|Variable|undefined_variable)\s*(?:\(\s*\)|\{\s*\})|\{\s*\}"
)
_NAME = re.compile(rb"[A-Za-z_]\w*")
_OPTIONAL = re.compile(
    rb"(?:\*\s*(?P<star>\w+)|(?P<value>\w+)\s*\.\s*value\(\)|(?P<maybe>\w+)\s*\.\s*value_or\(\s*(?:[\w:]*)(?:\(\)|\{\})\s*\))"
)


class Call(NamedTuple):
    """`ctx->method(...)` with what is in its brackets; `start` and `end` are those of its whole statement."""

    method: str
    inside: bytes
    start: int
    end: int


New = bytes | Callable[[re.Match[bytes]], bytes]


def calls_of(body: bytes, context: bytes) -> Iterator[Call]:
    """The statements that only call a method of the context, in the order of the text."""
    code = mask(body)
    for match in re.finditer(rb"\b" + context + rb"\s*->\s*(?P<method>\w+)\s*\(", code):
        close = closing_bracket(code, match.end() - 1)
        behind = re.compile(rb"\s*;[ \t]*\n?").match(code, close + 1) if close >= 0 else None
        if behind is None or not is_statement(body, match.start()):
            continue
        start = match.start()
        while start and body[start - 1 : start] in (b" ", b"\t"):
            start -= 1
        yield Call(match["method"].decode(), body[match.end() : close], start, behind.end())


def substituted(pattern: bytes | re.Pattern[bytes], new: New, body: bytes) -> bytes:
    """`re.sub`, but for what is in comments; those at either end of a match stay."""
    parts, done = [], 0
    for match in found_in(pattern, body):
        found = match.group()
        first, last = match.start() + len(found) - len(found.lstrip()), match.start() + len(found.rstrip())
        before, behind = body[match.start() : first], body[max(first, last) : match.end()]
        text = match.expand(new) if isinstance(new, bytes) else new(match)
        kept = (before if before.strip() else b"", text, behind if behind.strip() else b"")
        parts += [body[done : match.start()], *kept]
        done = match.end()
    return b"".join((*parts, body[done:]))


def found_in(pattern: bytes | re.Pattern[bytes], body: bytes) -> list[re.Match[bytes]]:
    """Where a pattern is in a body, comments left out; the offsets are those of the body."""
    return list(re.finditer(pattern, mask_comments(body)))


def names(body: bytes, name: bytes) -> bool:
    """Whether a body says `name`, other than in comments and texts."""
    return name in words_of(mask(body))


def listed(inside: bytes) -> list[bytes] | None:
    """The elements of `{a, b}`, None for what is no list in braces."""
    text = mask_comments(inside).strip()
    if not text.startswith(b"{") or closing_bracket(text, 0) != len(text) - 1:
        return None
    parts = [text[slice(*part)].strip() for part in split_spans(text, 1, len(text) - 1)]
    return [part for part in parts if part]


def is_name(text: bytes) -> bool:
    """Whether an expression is a name and nothing more."""
    return _NAME.fullmatch(text) is not None


def of_optional(text: bytes) -> str:
    """The variable whose value `*x`, `x.value()` or `x.value_or(Tensor())` is, "" for other expressions."""
    match = _OPTIONAL.fullmatch(text)
    return (match["star"] or match["value"] or match["maybe"]).decode() if match else ""
