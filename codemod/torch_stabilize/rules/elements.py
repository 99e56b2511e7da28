"""Elements of containers and members of objects by their text: where they are named, and where they get another value."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.rules.undefined import names_in
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.scopes import receiver_type_parts

ANY = "[]"  # `v[]` is any element of v
_ELEMENTS = frozenset({"subscript_expression", "field_expression", "call_expression", "pointer_expression"})
_GIVING = frozenset({"front", "back", "at"})  # methods that give an element
_RENEWING = frozenset({"clear", "resize", "assign", "erase", "pop_back", "reset", "emplace", "swap", "insert"})


def root_of(name: str) -> str:
    """The variable that an element is of: `v` of `v[0].first`."""
    start = name.lstrip("(*&")
    end = next((place for place, sign in enumerate(start) if not (sign.isalnum() or sign == "_")), len(start))
    return start[:end]


def plain(node: Node) -> str:
    """The text of an element without blanks."""
    return "".join(text_of(node).split())


def named(name: str, statement: Node) -> Iterator[Node]:
    """Where a statement names a variable or an element; also the variable of the element where that is given another value."""
    if name.isidentifier():
        yield from names_in(name, statement)
        return
    root, waiting = root_of(name), [statement]
    while waiting:
        node = waiting.pop()
        is_it = _is_any(node, root) if name.endswith(ANY) else node.type in _ELEMENTS and plain(node) == name
        if is_it or (node.type == "identifier" and text_of(node) == root and is_renewed(node)):
            yield node
        else:
            waiting += node.named_children


def _is_any(node: Node, container: str) -> bool:
    """Whether a node is an element of a container, or runs through all of them."""
    if node.type == "subscript_expression":
        owner = node.child_by_field_name("argument")
    elif node.type == "for_range_loop":
        owner = node.child_by_field_name("right")
    elif node.type == "call_expression":
        callee = node.child_by_field_name("function")
        parts = receiver_type_parts(callee) if callee is not None and callee.type == "field_expression" else (None, "")
        owner = parts[0] if parts[1] in _GIVING else None
    else:
        return False
    return owner is not None and text_of(owner) == container


def is_renewed(node: Node) -> bool:
    """Whether a variable gets another value here, or other elements."""
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "assignment_expression":
        return parent.child_by_field_name("left") == node
    call = parent.parent
    is_called = parent.type == "field_expression" and call is not None and call.type == "call_expression"
    return (
        is_called
        and receiver_type_parts(parent) == (node, receiver_type_parts(parent)[1])
        and (receiver_type_parts(parent)[1] in _RENEWING)
    )
