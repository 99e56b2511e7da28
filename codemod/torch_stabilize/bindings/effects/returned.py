"""Which of its arguments a function returns, as its tree says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.source.callees import reference_of
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import parse_type
from torch_stabilize.surface.effects import method_effect

_DEEPEST = 3  # calls that are followed
_TUPLES = frozenset({"make_tuple", "make_pair", "tie", "forward_as_tuple", "tuple", "pair"})
_VIEWS = frozenset({"reshape", "flatten", "ravel"})  # where the strides allow it
_OTHERS = frozenset({"lambda_expression", "function_definition"})  # whose returns are their own


class Callee(NamedTuple):
    """A function that is called: the names of its parameters, and its body."""

    parameters: tuple[str, ...]
    body: bytes


Follow = Callable[[str], Callee | None]  # what a name that is called means


def returned_arguments(
    body: bytes, parameters: Collection[str], count: int, follow: Follow = lambda name: None
) -> tuple[str, ...]:
    """For each of `count` values the parameter that every `return` of `body` gives, also through functions it calls.

    "" where that is none of `parameters`, or they differ.
    """
    return _Reader(parameters, follow).of(body, count)


def may_return(document: Document, function: Function) -> tuple[str, ...]:
    """The tensor parameters of which some `return` may give the tensor itself or a view, also through variables."""
    body = document.fragment_at(function.body.start).node_at(function.body) if function.body is not None else None
    while body is not None and body.type != "compound_statement":
        body = body.parent
    if body is None:
        return ()
    values = _values_of(body)
    found = {name for node in _returned(body) for name in _may_be(node, values, frozenset())}
    return tuple(p.name for p in function.parameters if p.name in found and parse_type(p.type_text).is_tensor)


def _values_of(body: Node) -> dict[str, list[Node]]:
    """What each variable of a body is given."""
    found: dict[str, list[Node]] = {}
    waiting = [body]
    while waiting:
        node = waiting.pop()
        waiting += node.named_children
        pair = {"init_declarator": ("declarator", "value"), "assignment_expression": ("left", "right")}.get(node.type)
        target, value = map(node.child_by_field_name, pair) if pair is not None else (None, None)
        while target is not None and target.type == "reference_declarator":
            target = target.named_children[0] if target.named_children else None
        if target is not None and target.type == "identifier" and value is not None:
            found.setdefault(text_of(target), []).append(value)
    return found


def _may_be(node: Node, values: Mapping[str, list[Node]], seen: frozenset[str]) -> Iterator[str]:
    """The names whose tensor an expression may be, or be a view of."""
    node = _bare(node)
    if node.type == "identifier":
        name = text_of(node)
        given = values.get(name, []) if name not in seen else []
        yield name
        for value in given:
            yield from _may_be(value, values, seen | {name})
    elif node.type == "conditional_expression":
        for side in (node.child_by_field_name("consequence"), node.child_by_field_name("alternative")):
            yield from _may_be(side, values, seen) if side is not None else ()
    callee = node.child_by_field_name("function") if node.type == "call_expression" else None
    if callee is not None and callee.type == "field_expression":
        receiver, name = receiver_type_parts(callee)
        if receiver is not None and (method_effect(name) in ("V", "W") or name in _VIEWS):  # a view, or in place
            yield from _may_be(receiver, values, seen)
    elif callee is not None and reference_of(callee).removeprefix("::") in ("std::move", "move"):
        for given_node in arguments_of(node)[:1]:
            yield from _may_be(given_node, values, seen)


def _returned(node: Node) -> Iterator[Node]:
    """What the return statements of a body return."""
    if node.type == "return_statement":
        yield from node.named_children[:1]
    for child in node.named_children:
        if child.type not in _OTHERS:
            yield from _returned(child)


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


class _Reader(NamedTuple):
    """Reads one function; `depth` counts the calls that it was reached through."""

    parameters: Collection[str]
    follow: Follow
    depth: int = 0

    def of(self, body: bytes, count: int) -> tuple[str, ...]:
        document = Document("body.cpp", b"auto f() {" + body + b"}")
        function = document.whole.tree.root_node.child(0)
        inside = function.child_by_field_name("body") if function is not None else None
        if inside is None:
            return ("",) * count
        found = {self._values(node, _locals(inside), count) for node in _returned(inside)}
        return found.pop() if len(found) == 1 else ("",) * count

    def _values(self, node: Node, local: Mapping[str, Node], count: int) -> tuple[str, ...]:
        node = _bare(node)
        if count > 1 and node.type == "identifier":
            node = _bare(local.get(text_of(node), node))
        parts = [node] if count == 1 else _parts(node)
        if len(parts) != count:
            return self._of_call(node, local, count)
        return tuple(self._parameter(part, local) for part in parts)

    def _parameter(self, node: Node, local: Mapping[str, Node]) -> str:
        """The parameter that an expression is, "" for any other expression."""
        node = _bare(node)
        if node.type == "identifier":
            name = text_of(node)
            if name in local:
                return self._parameter(local[name], {key: one for key, one in local.items() if key != name})
            return name if name in self.parameters else ""
        callee = node.child_by_field_name("function") if node.type == "call_expression" else None
        if callee is None:
            return ""
        if callee.type == "field_expression":  # `x.mul_(2)` is `x`
            receiver, name = receiver_type_parts(callee)
            is_in_place = name.endswith("_") and not name.endswith("__")
            return self._parameter(receiver, local) if receiver is not None and is_in_place else ""
        given = arguments_of(node)
        space, _, name = reference_of(callee).removeprefix("::").rpartition("::")
        is_moved = name == "move" and space in ("", "std") and len(given) == 1
        is_out = name.endswith("_out") and space in ("at", "torch")  # which returns its first argument
        if given and (is_moved or is_out):
            return self._parameter(given[0], local)
        return self._of_call(node, local, 1)[0]

    def _of_call(self, node: Node, local: Mapping[str, Node], count: int) -> tuple[str, ...]:
        """What a function of the program gives back of what it is given."""
        nothing = ("",) * count
        callee = node.child_by_field_name("function") if node.type == "call_expression" else None
        is_named = callee is not None and callee.type in ("identifier", "qualified_identifier")
        if callee is None or not is_named or self.depth >= _DEEPEST:
            return nothing
        called = self.follow(reference_of(callee).rpartition("::")[2])
        given = arguments_of(node)
        if called is None or len(given) != len(called.parameters):
            return nothing
        back = _Reader(called.parameters, self.follow, self.depth + 1).of(called.body, count)
        at = {name: place for place, name in enumerate(called.parameters) if name}
        return tuple(self._parameter(given[at[name]], local) if name in at else "" for name in back)


def _locals(body: Node) -> dict[str, Node]:
    """The variables that are given one value, where they are declared."""
    found: dict[str, list[Node]] = {}
    changed: set[str] = set()
    waiting = [body]
    while waiting:
        node = waiting.pop()
        waiting += node.named_children
        left = node.child_by_field_name("left") if node.type == "assignment_expression" else None
        if left is not None:
            changed.add(text_of(left))
        declared = node.child_by_field_name("declarator") if node.type == "init_declarator" else None
        value = node.child_by_field_name("value") if declared is not None else None
        while declared is not None and declared.type == "reference_declarator":
            declared = declared.named_children[0] if declared.named_children else None
        if declared is not None and declared.type == "identifier" and value is not None:
            found.setdefault(text_of(declared), []).append(value)
    return {name: values[0] for name, values in found.items() if len(values) == 1 and name not in changed}


def _bare(node: Node) -> Node:
    while node.type == "parenthesized_expression" and node.named_child_count == 1:
        node = node.named_children[0]
    return node
