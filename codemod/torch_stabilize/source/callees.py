"""What a call leads to: functions, members of classes, constructors and lambdas, with their parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source.classes import template_parameters
from torch_stabilize.source.declarations import PARAMETERS, TRANSPARENT, Declared, data_members, declared_by, text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import CppType, parse_type

_TEMPLATE_ARGUMENTS = re.compile(r"<[^<>]*>")
_GENERIC = re.compile(r"\b(?:typename|class)\b(?:\s*\.\.\.)?\s*(\w+)")


class Taker(NamedTuple):
    """One parameter: its type as written, its name, whether it may be left out, and where it is declared."""

    type_text: str
    name: str
    is_optional: bool
    declared: Span


class Callee(NamedTuple):
    """A function as its caller sees it. `body` and the places of parameters are offsets in `fragment`.

    `generic` are its type parameters; `start` is where it begins, by which a `return` in it is told from others.
    """

    document: Document
    fragment: Fragment
    parameters: tuple[Taker, ...]
    body: Span | None
    generic: frozenset[str]
    start: int

    @property
    def types(self) -> tuple[str, ...]:
        """The types of its parameters without blanks, which tell overloads apart."""
        return tuple("".join(parameter.type_text.split()) for parameter in self.parameters)

    def may_take(self, kinds: tuple[CppType, ...]) -> bool:
        """Whether it may be given arguments of these types, as far as they are pointers that are known."""
        for text, kind in zip(self.types, kinds, strict=False):
            wanted = parse_type(text)
            is_open = wanted.name in ("", "auto", "void") or wanted.name in self.generic
            differs = wanted.pointers != kind.pointers or (kind.is_known and kind.name != wanted.name)
            if kind.pointers and not is_open and differs:
                return False
        return True


class Callees(NamedTuple):
    """The callees that a set of documents has. Counts of arguments that are 0 stand for any number."""

    finder: TypeFinder

    def named(self, reference: str, count: int) -> list[Callee]:
        """The free functions and static members that `reference` may mean with `count` arguments."""
        owner, _, bare = reference.rpartition("::")
        found = list(self.finder.functions.meant_by(reference))
        if not found and owner:
            if members := self.members(owner.rpartition("::")[2], bare, count):
                return members
            found = [pair for pair in self.finder.functions.named(bare) if not pair[1].written_scope]
        return _fitting([of_function(*pair) for pair in found], count)

    def members(self, owner: str, name: str, count: int) -> list[Callee]:
        """The member functions of a class; a constructor has the name of its class."""
        if not owner:
            return []
        named = self.finder.functions.named(name)
        found = [of_function(*pair) for pair in named if pair[1].written_scope.rpartition("::")[2] == owner]
        for one in self.finder.written.classes.named(owner):
            for node in _members(one.body, name):
                found.append(of_node(node, one.document.whole, one.document))
        return _fitting(found, count)

    def is_function(self, declared: Declared, fragment: Fragment) -> bool:
        """Whether what a scope declares is a function, as against a variable that is called."""
        node = fragment.tree.root_node.descendant_for_byte_range(declared.start, declared.start + len(declared.name))
        return node is not None and node.parent is not None and node.parent.type == "function_declarator"

    def member_type(self, owner: str, place: int) -> tuple[str, str]:
        """The name and the type of a class's data member by its place, "" where that is not clear."""
        found = self.finder.written.classes.named(owner)
        members = data_members(found[0].body) if len(found) == 1 else []
        return (members[place].name, members[place].type_text) if place < len(members) else ("", "")


def _members(body: Node, name: str) -> Iterator[Node]:
    for node in body.named_children:
        if node.type in TRANSPARENT:
            yield from _members(node, name)
        elif (declarator := _function_declarator(node)) is not None:
            named = declarator.child_by_field_name("declarator")
            if named is not None and text_of(named) == name:
                yield node


def _function_declarator(node: Node) -> Node | None:
    """What has the parameters of a function or lambda."""
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.child_by_field_name("parameters") is None:
        declarator = next((c for c in declarator.named_children if c.type.endswith("declarator")), None)
    return declarator


def _fitting(found: list[Callee], count: int) -> list[Callee]:
    """Those that take `count` arguments; one that is defined represents its declarations."""
    taking = [
        one
        for one in found
        if not count or sum(not p.is_optional for p in one.parameters) <= count <= len(one.parameters)
    ]
    defined = {one.types for one in taking if one.body is not None}
    return [one for one in taking if one.body is not None or one.types not in defined]


def of_function(document: Document, function: Function) -> Callee:
    """A function read from the tokens of a document."""
    parameters = tuple(Taker(p.type_text, p.name, bool(p.default), p.span) for p in function.parameters)
    generic = frozenset(_GENERIC.findall(function.template))
    return Callee(document, document.whole, parameters, function.body, generic, function.span.start)


def of_node(node: Node, fragment: Fragment, document: Document) -> Callee:
    """A lambda, or a function that is declared or defined in a class."""
    declarator, body = _function_declarator(node), node.child_by_field_name("body")
    listed = declarator.child_by_field_name("parameters") if declarator is not None else None
    parameters = []
    for child in listed.named_children if listed is not None else ():
        if child.type in PARAMETERS:
            declared = next(declared_by(child), None)
            text, name = (declared.type_text, declared.name) if declared is not None else (text_of(child), "")
            span = Span(child.start_byte, child.end_byte)
            parameters.append(Taker(text, name, child.type == "optional_parameter_declaration", span))
    whole = Span(node.start_byte, body.end_byte) if body is not None else None  # with what a constructor initialises
    return Callee(document, fragment, tuple(parameters), whole, generic_names(node), node.start_byte)


def generic_names(node: Node) -> frozenset[str]:
    """The parameters of the templates around a node."""
    names: set[str] = set()
    walk: Node | None = node
    while walk is not None:
        names |= set(template_parameters(walk))
        walk = walk.parent
    return frozenset(names)


def result_type(function: Node) -> str:
    """What a function or lambda says that it returns; "auto" for a lambda that says nothing."""
    declarator, marks = function.child_by_field_name("declarator"), ""
    while declarator is not None and declarator.type in ("pointer_declarator", "reference_declarator"):
        marks += "*" if declarator.type == "pointer_declarator" else "&"
        declarator = next((c for c in declarator.named_children if c.type.endswith("declarator")), None)
    for child in declarator.named_children if declarator is not None else ():
        if child.type == "trailing_return_type":
            return text_of(child).removeprefix("->").strip()
    kind = function.child_by_field_name("type")
    qualifiers = " ".join(text_of(child) for child in function.children if child.type == "type_qualifier")
    return f"{qualifiers} {text_of(kind)}{marks}".strip() if kind is not None else "auto"


def reference_of(callee: Node) -> str:
    """The name that a call names, template arguments left out: `ns::f` of `ns::f<float, N>`."""
    text, before = text_of(callee), ""
    while text != before:
        text, before = _TEMPLATE_ARGUMENTS.sub("", text), text
    return "".join(text.split())


def template_argument(callee: Node, place: int = 0) -> str:
    """One template argument of what is called, "" where there are not so many."""
    walk: Node | None = callee
    while walk is not None and walk.type not in ("template_function", "template_method", "template_type"):
        inner = walk.named_children[0] if walk.type == "dependent_name" else None
        walk = walk.child_by_field_name("field") or walk.child_by_field_name("name") or inner
    listed = walk.child_by_field_name("arguments") if walk is not None else None
    given = listed.named_children if listed is not None else []
    return text_of(given[place]) if place < len(given) else ""
