"""Expressions of a tensor that stand for one of its methods."""

from __future__ import annotations

from tree_sitter import Node

from torch_stabilize.rules.context import Context
from torch_stabilize.rules.rewrite import Copy, Part, Rewrite
from torch_stabilize.rules.tensor_calls import MethodCall
from torch_stabilize.source.declarations import text_of
from torch_stabilize.surface.entry import Entry


def expression_of(context: Context, call: MethodCall, text: str, entry: Entry, *, is_enclosed: bool = False) -> Rewrite:
    """The call replaced by an expression of the receiver, which is `{t}` in `text`."""
    assert call.node is not None
    assert call.receiver is not None
    receiver = call.fragment.span(call.receiver)
    sign = b"->" if call.through_pointer else b"."
    pieces = text.split("{t}")
    parts: list[Part] = [pieces[0].encode()]
    for place, piece in enumerate(pieces[1:]):
        named: Part = receiver if place == 0 else Copy(receiver)
        if piece.startswith("."):
            parts += [named, sign + piece[1:].encode()]
        else:
            parts += [b"*" if call.through_pointer else b"", named, piece.encode()]
    if not pieces[0] and not is_enclosed and _binds_tighter(call.node):
        parts = [b"(", *parts, b")"]
    return context.rewrite(call.span, tuple(parts), entry.rule, entry=entry)


def _binds_tighter(node: Node) -> bool:
    """Whether an operator or a member access around the call would tear a binary expression apart."""
    parent = node.parent
    if parent is None or parent.type not in (
        "unary_expression",
        "binary_expression",
        "field_expression",
        "cast_expression",
    ):
        return False
    operator = parent.child_by_field_name("operator")
    return parent.type != "binary_expression" or operator is None or text_of(operator) not in ("&&", "||")
