"""What a call leads to: functions, members of classes, constructors, lambdas and macros, with their parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node

from codemod.model import Span
from codemod.source.declarations import PARAMETERS, data_members, declared_by, text_of
from codemod.source.document import Document, Fragment
from codemod.source.scopes import TypeFinder
from codemod.source.signatures import Function
from codemod.source.types import CppType, parse_type
from codemod.source.uses.held import generic_names

_TEMPLATE_ARGUMENTS = re.compile(r"<[^<>]*>")
_FUNCTIONS = frozenset({"function_definition", "lambda_expression"})


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

    @property
    def least(self) -> int:
        """How many arguments it needs."""
        return sum(not parameter.is_optional for parameter in self.parameters)


class Callees(NamedTuple):
    """The callees that a set of documents has."""

    finder: TypeFinder

    def named(self, reference: str, count: int) -> list[Callee]:
        """The free functions and static members that `reference` may mean with `count` arguments."""
        owner, _, bare = reference.rpartition("::")
        found = [pair for pair in self.finder.functions.named(bare) if pair[1].answers_to(reference)]
        if not found and owner:
            members = self.members(owner.rpartition("::")[2], bare, count)
            if members:
                return members
            found = [pair for pair in self.finder.functions.named(bare) if not pair[1].written_scope]
        return fitting([of_function(*pair) for pair in found], count)

    def members(self, owner: str, name: str, count: int) -> list[Callee]:
        """The member functions of a class; a constructor has the name of its class."""
        if not owner:
            return []
        outside = (
            pair for pair in self.finder.functions.named(name) if pair[1].written_scope.rpartition("::")[2] == owner
        )
        found = [of_function(*pair) for pair in outside]
        for one in self.finder.written.classes.named(owner):
            found += [callee for other, callee in _members(one.document, one.body) if other == name]
        return fitting(found, count)

    def member_type(self, owner: str, place: int) -> tuple[str, str]:
        """The name and the type of a class's data member by its place, "" where that is not clear."""
        found = self.finder.written.classes.named(owner)
        members = data_members(found[0].body) if len(found) == 1 else []
        return (members[place].name, members[place].type_text) if place < len(members) else ("", "")


def _members(document: Document, body: Node) -> Iterator[tuple[str, Callee]]:
    """The member functions that a class declares or defines, by name."""
    for node in body.named_children:
        member, template = node, ""
        if node.type == "template_declaration":
            member, template = node.named_children[-1], text_of(node.named_children[0])
        declarator = member.child_by_field_name("declarator")
        while declarator is not None and declarator.type != "function_declarator":
            declarator = next((c for c in declarator.named_children if c.type.endswith("declarator")), None)
        name = declarator.child_by_field_name("declarator") if declarator is not None else None
        if name is not None:
            yield text_of(name), of_node(member, document.whole, document, template)


def fitting(found: list[Callee], count: int) -> list[Callee]:
    """Those that take `count` arguments, 0 being any number; one that is defined stands for its declarations."""
    taking = [one for one in found if not count or one.least <= count <= len(one.parameters)]
    defined = {one.types for one in taking if one.body is not None}
    return [one for one in taking if one.body is not None or one.types not in defined]


def of_function(document: Document, function: Function) -> Callee:
    """A function read from the tokens of a document."""
    parameters = tuple(Taker(p.type_text, p.name, bool(p.default), p.span) for p in function.parameters)
    start = function.span.start
    return Callee(document, document.whole, parameters, function.body, generic_names(function.template), start)


def of_node(node: Node, fragment: Fragment, document: Document, template: str = "") -> Callee:
    """A lambda, or a function that is declared or defined in a class."""
    parameters = []
    for parameter in _parameters(node):
        span = Span(parameter.start_byte, parameter.end_byte)
        is_optional = parameter.type == "optional_parameter_declaration"
        declared = next(declared_by(parameter), None)
        text = declared.type_text if declared is not None else text_of(parameter)
        parameters.append(Taker(text, declared.name if declared is not None else "", is_optional, span))
    body = node.child_by_field_name("body")
    end = None if body is None else Span(node.start_byte, body.end_byte)  # with what a constructor initialises
    return Callee(document, fragment, tuple(parameters), end, generic_names(template), node.start_byte)


def _parameters(node: Node) -> list[Node]:
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.child_by_field_name("parameters") is None:
        declarator = next((c for c in declarator.named_children if c.type.endswith("declarator")), None)
    listed = declarator.child_by_field_name("parameters") if declarator is not None else None
    return [child for child in listed.named_children if child.type in PARAMETERS] if listed is not None else []


def enclosing_function(node: Node) -> Node | None:
    """The function or lambda around a node."""
    walk = node.parent
    while walk is not None and walk.type not in _FUNCTIONS:
        walk = walk.parent
    return walk


def result_type(function: Node) -> str:
    """What a function or lambda says that it returns; "auto" for a lambda that says nothing."""
    declarator = function.child_by_field_name("declarator")
    marks = ""
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
        walk = walk.child_by_field_name("field") or walk.child_by_field_name("name") or _only(walk)
    listed = walk.child_by_field_name("arguments") if walk is not None else None
    given = listed.named_children if listed is not None else []
    return text_of(given[place]) if place < len(given) else ""


def _only(node: Node) -> Node | None:
    return node.named_children[0] if node.type == "dependent_name" and node.named_children else None


def may_take(types: tuple[str, ...], kinds: tuple[CppType, ...], generic: frozenset[str]) -> bool:
    """Whether parameters of these types may be given arguments of these types, as far as both are known."""
    for text, kind in zip(types, kinds, strict=False):
        wanted = parse_type(text)
        if not kind.pointers or wanted.name in ("", "auto", "void") or wanted.name in generic:
            continue
        if wanted.pointers != kind.pointers or (kind.is_known and kind.name != wanted.name):
            return False
    return True
