"""Which of its arguments a function returns, as its tree says."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tree_sitter import Node

from torch_stabilize.source.callees import reference_of
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts

_TUPLES = frozenset({"make_tuple", "make_pair", "tie", "forward_as_tuple", "tuple", "pair"})
_OTHERS = frozenset({"lambda_expression", "function_definition"})  # whose returns are their own


def returned_arguments(body: bytes, parameters: Collection[str], count: int) -> tuple[str, ...]:
    """For each of `count` values the parameter that every `return` of `body` gives.

    "" where that is none of `parameters`, or they differ.
    """
    document = Document("body.cpp", b"auto f() {" + body + b"}")
    function = document.whole.tree.root_node.child(0)
    inside = function.child_by_field_name("body") if function is not None else None
    found = {_values(node, parameters, count) for node in _returned(inside)} if inside is not None else set()
    return found.pop() if len(found) == 1 else ("",) * count


def _returned(node: Node) -> Iterator[Node]:
    """What the return statements of a body return."""
    if node.type == "return_statement":
        yield from node.named_children[:1]
    for child in node.named_children:
        if child.type not in _OTHERS:
            yield from _returned(child)


def _values(node: Node, parameters: Collection[str], count: int) -> tuple[str, ...]:
    parts = [node] if count == 1 else _parts(_bare(node))
    names = tuple(_parameter(part, parameters) for part in parts)
    return names if len(names) == count else ("",) * count


def _parts(node: Node) -> list[Node]:
    """The values of a tuple that is made here."""
    callee = node.child_by_field_name("function") if node.type == "call_expression" else None
    if callee is not None and reference_of(callee).rpartition("::")[2] in _TUPLES:
        return arguments_of(node)
    if node.type == "compound_literal_expression":  # `std::tuple<at::Tensor, at::Tensor>{x, y}`
        node = node.child_by_field_name("value") or node
    return (
        [child for child in node.named_children if child.type != "comment"] if node.type == "initializer_list" else []
    )


def _parameter(node: Node, parameters: Collection[str]) -> str:
    """The parameter that an expression is, "" for any other expression."""
    node = _bare(node)
    if node.type == "identifier":
        return text_of(node) if text_of(node) in parameters else ""
    callee = node.child_by_field_name("function") if node.type == "call_expression" else None
    if callee is None:
        return ""
    if callee.type == "field_expression":  # `x.mul_(2)` is `x`
        receiver, name = receiver_type_parts(callee)
        is_in_place = name.endswith("_") and not name.endswith("__")
        return _parameter(receiver, parameters) if receiver is not None and is_in_place else ""
    given = arguments_of(node)
    space, _, name = reference_of(callee).removeprefix("::").rpartition("::")
    is_moved = name == "move" and space in ("", "std") and len(given) == 1
    is_out = name.endswith("_out") and space in ("at", "torch")  # which returns its first argument
    return _parameter(given[0], parameters) if given and (is_moved or is_out) else ""


def _bare(node: Node) -> Node:
    while node.type == "parenthesized_expression" and node.named_child_count == 1:
        node = node.named_children[0]
    return node
