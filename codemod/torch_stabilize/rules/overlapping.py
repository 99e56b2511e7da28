"""`y += y[0]`: an operand that is part of what is written."""

from __future__ import annotations

from tree_sitter import Node

from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.surface.schemas import overloads

MESSAGE = "the operand is a part of what is written: the result depends on the order that elements are written in"
HELP = "clone() the operand"
# The ops written out with others, which compute the whole result before they write it.
WRITTEN_OUT = frozenset({"add_", "sub_", "subtract_"})


def reads_part_of(target: Node | None, operand: Node) -> bool:
    """Whether `operand` is a view of the variable `target`."""
    if target is None or target.type not in ("identifier", "field_expression"):
        return False
    whole = _viewed(operand)
    return whole is not None and whole != operand and text_of(whole) == text_of(target)


def _viewed(node: Node) -> Node | None:
    """What an expression of views looks into; None where it computes something."""
    if node.type == "parenthesized_expression" and node.named_child_count == 1:
        return _viewed(node.named_children[0])
    if node.type == "subscript_expression":
        inner = node.child_by_field_name("argument")
        return _viewed(inner) if inner is not None else None
    if node.type != "call_expression":
        return node if node.type in ("identifier", "field_expression") else None
    callee = node.child_by_field_name("function")
    if callee is None:
        return None
    if callee.type == "field_expression":
        receiver, name = receiver_type_parts(callee)
    else:
        given = arguments_of(node)
        receiver, name = given[0] if given else None, text_of(callee).rpartition("::")[2]
    is_view = any(op.aliases for op in overloads(name))
    return _viewed(receiver) if is_view and receiver is not None else None
