"""Looking at the bodies of methods: calls of a context, where they stand, and names that get other values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from torch_stabilize.source.brackets import closing_bracket, split_spans
from torch_stabilize.source.mask import mask_comments

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
    depth: int


def calls_of(body: bytes, context: bytes) -> Iterator[Call]:
    """The statements that only call a method of the context, in the order of the text."""
    for match in re.finditer(rb"\b" + context + rb"\s*->\s*(?P<method>\w+)\s*\(", body):
        close = closing_bracket(body, match.end() - 1)
        behind = re.compile(rb"\s*;[ \t]*\n?").match(body, close + 1) if close >= 0 else None
        if behind is None or not is_statement_start(body, match.start()):
            continue
        start = match.start()
        while start and body[start - 1 : start] in (b" ", b"\t"):
            start -= 1
        yield Call(match["method"].decode(), body[match.end() : close], start, behind.end(), depth(body, match.start()))


def is_statement_start(body: bytes, place: int) -> bool:
    """Whether a statement begins at `place`."""
    before = body[:place].rstrip()
    return before[-1:] in (b";", b"{", b"}", b")") or before.endswith(b"else")


def depth(body: bytes, place: int) -> int:
    """How many braces of the body are open at `place`, its own left out."""
    before = body[:place]
    return before.count(b"{") - before.count(b"}") - 1


def is_bare(body: bytes, place: int) -> bool:
    """Whether the statement at `place` always runs when the body does: no branch or loop is around it."""
    return depth(body, place) == 0 and body[:place].rstrip()[-1:] in (b";", b"{", b"}")


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


def assignments(body: bytes, name: str) -> list[int]:
    """Where `name` is given a value, declarations left out."""
    pattern = rb"(?<![\w.>&])" + re.escape(name.encode()) + rb"\s*(?:[-+*/%&|^]|<<|>>)?=(?!=)"
    return [m.start() for m in re.finditer(pattern, body) if not _declares(body, m.start())]


def _declares(body: bytes, place: int) -> bool:
    return re.search(rb"(?:\bauto|[\w>])\s*[&*]?\s+[&*]?$", body[:place]) is not None and not re.search(
        rb"\b(?:return|else)\s+$", body[:place]
    )
