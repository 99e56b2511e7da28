"""Integers of 64 bits: the stable fill_ and full take a double, which does not hold the wide ones.

The wrapper of aten::fill_.Scalar stores them as they are. It is called where a number may be wide, by its type.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context
from torch_stabilize.rules.rewrite import Copy, Part
from torch_stabilize.source.document import Fragment

FILL = "torch::stable::fill_"  # takes a double
_EXACT, _EXACT_HELPER = b"stable_aten::fill_(", "aten:fill_.Scalar"
_NARROW_LIST = (
    "bool float double Half BFloat16 int short char int8_t int16_t int32_t uint8_t uint16_t uint32_t unsigned"
)
_NARROW = frozenset(_NARROW_LIST.split())
# Dtypes that hold the same of a double as of the integer itself, or refuse both.
_SAME_IN = re.compile(rb"\b(?:k|ScalarType::)(?:Int|Int32|Short|Int16|Char|Int8|Double|Float64|Half|Float16|Bool)$")


def filled(
    made: tuple[Part, ...], value: Node, fragment: Fragment, context: Context, dtype: tuple[Part, ...] = ()
) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The call that fills the tensor `made` with the number `value`, and the helpers it needs; of `dtype` if that is told."""
    is_exact = _is_stored_otherwise(dtype, context) and may_be_wide(value, fragment, context)
    call = _EXACT if is_exact else FILL.encode() + b"("
    return ((call, *made, b", ", fragment.span(value), b")"), (_EXACT_HELPER,) if is_exact else ())


def full(
    sizes: Part, value: Node, tail: tuple[Part, ...], fragment: Fragment, context: Context
) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """`torch::stable::full(sizes, value, dtype, ...)` with a `tail` from the dtype on, and the helpers it needs."""
    if _is_stored_otherwise(tail[1:2], context) and may_be_wide(value, fragment, context):
        return filled((b"torch::stable::empty(", sizes, *tail, b")"), value, fragment, context)
    return ((b"torch::stable::full(", sizes, b", ", fragment.span(value), *tail, b")"), ())


def _is_stored_otherwise(dtype: tuple[Part, ...], context: Context) -> bool:
    """Whether a wide integer and the double next to it may be stored differently."""
    if len(dtype) != 1:
        return True
    part = dtype[0].span if isinstance(dtype[0], Copy) else dtype[0]
    text = context.document.data[part.start : part.end] if isinstance(part, Span) else part
    return not _SAME_IN.search(text)


def may_be_wide(node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether a number may be an integer that a double does not hold: of 64 bits, or of a type that is not known."""
    text = (node.text or b"").strip(b"-+ ()")
    if node.type in ("true", "false"):
        return False
    if node.type == "conditional_expression":
        return any(may_be_wide(branch, fragment, context) for branch in node.named_children[1:])
    if (literal := re.fullmatch(rb"(?:0[xX][0-9a-fA-F']+|[0-9']+)(?P<suffix>[uUlL]*)", text)) is not None:
        return abs(int(text[: literal.start("suffix")].replace(b"'", b""), 0 if b"x" in text.lower() else 10)) > 2**53
    if re.fullmatch(rb"[0-9.]+(?:[eE][-+]?[0-9]+)?[fFlL]?", text):
        return False
    cast = re.fullmatch(rb"(?:static_cast<\w+>|\w+)\((?P<inside>-?[0-9.]+f?)\)", (node.text or b"").replace(b" ", b""))
    if cast is not None:
        return False
    found = context.type_of(node, fragment)
    return not found.is_tensor and found.name not in _NARROW
