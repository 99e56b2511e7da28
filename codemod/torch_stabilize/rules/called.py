"""The calls of a function in a file, and which function a parameter is of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source.declarations import around, text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.scopes import arguments_of

OWNERS = ("function_definition", "lambda_expression")


class Place(NamedTuple):
    """A parameter: what its function is called by, and how many parameters are before it."""

    name: str
    position: int


def place_of_parameter(parameter: Node) -> Place | None:
    """The place of a parameter, given the node that declares it, of a function or of a lambda with a name."""
    listed = around(parameter, ("parameter_list",))
    head = listed.parent if listed is not None else None
    if listed is None or head is None:
        return None
    parameters = [child for child in listed.named_children if child.type != "comment"]
    position = next((i for i, one in enumerate(parameters) if one.end_byte >= parameter.end_byte), -1)
    owner = around(parameter, OWNERS)
    if owner is not None and owner.type == "lambda_expression" and owner.child_by_field_name("declarator") == head:
        name = variable_of(owner)
    else:
        name = _last_name(head.child_by_field_name("declarator"))
    return Place(name, position) if name and position >= 0 else None


def calls_of(name: str, document: Document) -> Iterator[tuple[Node, Fragment]]:
    """The calls in a file of what has this name, in whatever class or namespace it is."""
    for match in re.finditer(rb"\b" + re.escape(name.encode()) + rb"\s*(?=\()", document.code):
        fragment = document.fragment_at(match.start())
        callee = fragment.node_at(Span(match.start(), match.start() + len(name)))
        call = around(callee, ("call_expression",)) if callee is not None else None
        function = call.child_by_field_name("function") if call is not None else None
        if call is not None and callee is not None and function is not None and function.end_byte == callee.end_byte:
            yield call, fragment


def given_at(place: Place, document: Document) -> Iterator[tuple[Node, Fragment]]:
    """What the calls in a file hand over for a parameter."""
    for call, fragment in calls_of(place.name, document):
        arguments = arguments_of(call)
        if place.position < len(arguments):
            yield arguments[place.position], fragment


def variable_of(value: Node) -> str:
    """The variable that is declared with `value`, empty if there is none."""
    parent = value.parent
    declarator = parent.child_by_field_name("declarator") if parent is not None else None
    return text_of(declarator) if declarator is not None and declarator.type == "identifier" else ""


def _last_name(node: Node | None) -> str:
    """`f` of `f`, `A::f` and `A<T>::f`."""
    while node is not None and node.type not in ("identifier", "field_identifier"):
        node = node.child_by_field_name("name") or node.child_by_field_name("declarator")
    return text_of(node) if node is not None else ""
