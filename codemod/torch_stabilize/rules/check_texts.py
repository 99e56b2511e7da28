"""The texts of checks: arguments that can be printed, and the condition as it was written where there are none."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context, Site
from torch_stabilize.rules.effects import is_repeatable
from torch_stabilize.rules.macro_calls import call_arguments
from torch_stabilize.rules.printing import printer_of
from torch_stabilize.rules.rewrite import Copy, Part, Rewrite
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.types import NUMBERS

_BLANK = re.compile(rb"\s*\\\r?\n\s*|\s+")
_PASTED = re.compile(rb"#")
_STREAMED = NUMBERS | {"char", "ScalarType", "string"}


def printable(site: Site, context: Context, start: int) -> tuple[Rewrite, ...]:
    """Rewrites that make the message arguments from `start` on printable."""
    found = []
    for span in (call_arguments(site, context) or ())[start:]:
        fragment = context.fragment(site)
        node = fragment.node_at(span)
        if node is None or fragment.span(node) != span:
            continue
        printer = printer_of(context.type_of(node, fragment))
        if printer is not None:
            parts: tuple[Part, ...] = (f"{printer.function}(".encode(), span, b")")
            found.append(Rewrite(span, parts, "TSA201", helpers=(printer.helper,)))
    return tuple(found)


def condition_text(condition: Span, context: Context) -> bytes | None:
    """`"Expected x > 0 to be true, but got false."`, None where the condition is an argument list of a macro."""
    written = _as_literal(condition, context)
    return None if written is None else _joined(b'"Expected ' + written + b' to be true, but got false."')


def comparison_text(
    left: Span, right: Span, sign: str, fragment: Fragment, context: Context
) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The message of `TORCH_CHECK_EQ(a, b)` with both values where they can be printed, and the helpers that do it."""
    first, second = _as_literal(left, context), _as_literal(right, context)
    if first is None or second is None:
        return (), ()
    compared = b'"Check failed: ' + first + b" " + sign.encode() + b" " + second
    one, other = _printed(left, fragment, context), _printed(right, fragment, context)
    if one is None or other is None:
        return (_joined(compared + b'"'),), ()
    opening, between, closing = b' (", ', b', " vs. ', b')"'
    node = fragment.node_at(right)
    if node is not None and node.type == "number_literal":
        return (_joined(compared + opening), *one[0], between + context.text(right) + closing), one[1]
    parts = (_joined(compared + opening), *one[0], between + b'", ', *other[0], b', "' + closing)
    return parts, (*one[1], *other[1])


def _printed(span: Span, fragment: Fragment, context: Context) -> tuple[tuple[Part, ...], tuple[str, ...]] | None:
    node = fragment.node_at(span)
    if node is None or fragment.span(node) != span or not is_repeatable(node, fragment, context):
        return None
    kind = context.type_of(node, fragment)
    printer = printer_of(kind)
    if printer is not None:
        return (printer.function.encode() + b"(", Copy(span), b")"), (printer.helper,)
    loose = node.type in ("binary_expression", "conditional_expression")
    value: tuple[Part, ...] = (b"(", Copy(span), b")") if loose else (Copy(span),)
    return (value, ()) if is_printed(node, fragment, context) else None


def is_printed(node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether a value has an operator<< in stable code too."""
    kind = context.type_of(node, fragment)
    return not kind.pointers and kind.name in _STREAMED


def _as_literal(span: Span, context: Context) -> bytes | None:
    """What is at `span` as the inside of a string literal; parameters of a macro around it stay parameters."""
    text = _BLANK.sub(b" ", context.document.text(span)).strip()
    macro = context.document.macro_at(span.start)
    params = [p.encode() for p in (macro.params or ()) if macro is not None] if macro is not None else []
    if b"__VA_ARGS__" in text or (params and text.endswith(b"...")):
        return None
    quoted = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    if not params or _PASTED.search(text):
        return quoted
    names = re.compile(rb"(?<![\w.])(?<!->)(?:" + b"|".join(map(re.escape, params)) + rb")\b")
    return names.sub(lambda match: b'" #' + match[0] + b' "', quoted)


def _joined(literal: bytes) -> bytes:
    """The literals without empty ones."""
    return literal.replace(b'"" ', b"").replace(b' ""', b"")
