"""The body of a method of an autograd function as a tree: its own returns, and names that may get other values."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.source.callees import reference_of
from torch_stabilize.source.declarations import around, text_of
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.signatures import read_signatures

# Parameters by which functions give their argument another value: the function's name and the place.
Changers = frozenset[tuple[str, int]]
NO_CHANGERS: Changers = frozenset()

_HEAD = b"auto f() "
_OWN = ("lambda_expression", "struct_specifier", "class_specifier")
_CHANGED = frozenset({"swap", "exchange", "iter_swap"})  # functions that replace their arguments
_REPLACED = frozenset({"swap", "reset", "emplace", "push_back", "emplace_back", "insert", "erase", "clear", "resize",
                       "pop_back", "set_data", "set_"})  # fmt: skip


class Return(NamedTuple):
    """One `return` of a body: from where its statement, and from where to where its value is."""

    start: int
    value_start: int
    value_end: int
    value: bytes


@functools.lru_cache(maxsize=64)
def _parsed(body: bytes) -> tuple[Node, ...]:
    """The nodes of a body in its order, the block first."""
    root = Document("body.cpp", _HEAD + body).whole.tree.root_node
    block = next((node for node in below(root) if node.type == "compound_statement"), None)
    return tuple(below(block)) if block is not None else ()


def below(start: Node) -> Iterator[Node]:
    """A node and all that it holds, in the order of the text."""
    waiting = [start]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def _start(node: Node) -> int:
    return node.start_byte - len(_HEAD)


def returns_of(body: bytes) -> list[Return]:
    """The returns of the body itself: those of lambdas and local classes are none."""
    found = []
    for node in _parsed(body):
        if node.type != "return_statement" or around(node, _OWN) is not None:
            continue
        values = [child for child in node.children if child.type not in ("return", ";", "comment")]
        start = _start(values[0]) if values else _start(node) + len(b"return")
        end = values[-1].end_byte - len(_HEAD) if values else start
        found.append(Return(_start(node), start, end, body[start:end]))
    return found


def is_bare(body: bytes, place: int) -> bool:
    """Whether the statement at `place` always runs when the body does: no branch, loop or lambda is around it."""
    nodes = _parsed(body)
    at = place + len(_HEAD)
    return any(node.start_byte == at and node.parent == nodes[0] and node.is_named for node in nodes[1:])


def is_statement(body: bytes, place: int) -> bool:
    """Whether a statement of its own begins at `place`."""
    at = place + len(_HEAD)
    return any(node.start_byte == at and node.type == "expression_statement" for node in _parsed(body))


@per_document
def changers_of(document: Document) -> Changers:
    """The parameters by reference of the functions of a file."""
    return frozenset(
        (function.name, place)
        for function in read_signatures(document)
        for place, parameter in enumerate(function.parameters)
        if _is_reference(parameter.type_text)
    )


def _is_reference(type_text: str) -> bool:
    words = type_text.replace("&", " & ").split()
    return words.count("&") == 1 and "const" not in words


def assignments(body: bytes, name: str, changers: Changers = NO_CHANGERS) -> list[int]:
    """Where `name` may be given another value, declarations left out: the places of the expressions that do so."""
    return [_start(node) for node in _changes(body, name, changers)]


def assigned(body: bytes, name: str, place: int) -> Node | None:
    """The value that the plain assignment `name = value` at `place` gives; None for anything else that changes it."""
    for node in _changes(body, name, NO_CHANGERS):
        operator = node.child_by_field_name("operator")
        if _start(node) == place and node.type == "assignment_expression" and operator is not None:
            is_plain = text_of(operator) == "=" and _bare(node.child_by_field_name("left")) == name
            return node.child_by_field_name("right") if is_plain else None
    return None


def _changes(body: bytes, name: str, changers: Changers) -> Iterator[Node]:
    for node in _parsed(body):
        if node.type == "identifier" and text_of(node) == name:
            changed = _changed_at(node, changers)
            if changed is not None:
                yield changed


def _bare(node: Node | None) -> str:
    """The name that an expression is, with brackets around it or without."""
    while node is not None and node.type == "parenthesized_expression" and node.named_child_count == 1:
        node = node.named_children[0]
    return text_of(node) if node is not None and node.type == "identifier" else ""


def _changed_at(node: Node, changers: Changers) -> Node | None:
    """What gives the variable at `node` another value, or lets others do so."""
    while node.parent is not None and node.parent.type == "parenthesized_expression":
        node = node.parent
    parent = node.parent
    if parent is None:
        return None
    if parent.type == "assignment_expression":
        return parent if parent.child_by_field_name("left") == node else None
    if parent.type == "update_expression" or (parent.type == "pointer_expression" and text_of(parent)[:1] == "&"):
        return parent
    if parent.type == "init_declarator" and parent.child_by_field_name("value") == node:
        return parent if _refers(parent) else None
    if parent.type == "field_expression":
        call = parent.parent
        is_called = call is not None and call.type == "call_expression"
        return call if is_called and receiver_type_parts(parent)[1] in _REPLACED else None
    return _changed_by_call(node, parent, changers)


def _refers(declarator: Node) -> bool:
    """Whether `auto& t = x` declares another name by which it can be changed."""
    named, declaration = declarator.child_by_field_name("declarator"), declarator.parent
    if named is None or named.type != "reference_declarator" or declaration is None:
        return False
    return not any(child.type == "type_qualifier" and text_of(child) == "const" for child in declaration.children)


def _changed_by_call(node: Node, listed: Node, changers: Changers) -> Node | None:
    call = listed.parent if listed.type == "argument_list" else None
    callee = call.child_by_field_name("function") if call is not None and call.type == "call_expression" else None
    if call is None or callee is None or callee.type == "field_expression":
        return None
    last, place = reference_of(callee).rpartition("::")[2], arguments_of(call).index(node)
    if last in ("tie", "forward_as_tuple"):
        assignment = call.parent
        is_left = assignment is not None and assignment.type == "assignment_expression"
        return assignment if is_left and assignment is not None and assignment.children[0] == call else None
    return call if last in _CHANGED or (last, place) in changers else None
