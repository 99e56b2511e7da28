"""The classes that documents define: their members, what their functions give back, their bases and parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source.declarations import TRANSPARENT, Declared, data_members, declared_by, text_of
from torch_stabilize.source.document import Document
from torch_stabilize.source.patterns import word_start
from torch_stabilize.source.types import CppType, parse_type

_CLASS = re.compile(
    rb"(?:" + word_start(b"struct") + rb"|" + word_start(b"class") + rb")"
    rb"\s+(?:\w+\([^)]*\)\s*)?(\w+)(?=\s*(?:final\b|[<:{]))[^;{}()]*\{"
)
_CLASS_NODES = frozenset({"class_specifier", "struct_specifier", "union_specifier"})
_MARKS = {"pointer_declarator": "*", "reference_declarator": "&"}
_BASES = frozenset({"type_identifier", "qualified_identifier", "template_type"})


class Method(NamedTuple):
    """A member function: the return type as written, and its definition where that is in the class."""

    returns: str
    definition: Node | None
    document: Document


@dataclass(frozen=True)
class ClassBody:
    """One definition of a class."""

    name: str
    document: Document
    body: Node

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its template parameters."""
        node = self.body.parent.parent if self.body.parent is not None else None
        return template_parameters(node) if node is not None else ()

    @cached_property
    def bases(self) -> tuple[CppType, ...]:
        """The classes that it derives from."""
        specifier = self.body.parent
        clauses = [c for c in specifier.named_children if c.type == "base_class_clause"] if specifier else []
        return tuple(parse_type(text_of(c)) for clause in clauses for c in clause.named_children if c.type in _BASES)

    @cached_property
    def members(self) -> Mapping[str, Declared]:
        """Its data by name, static ones too."""
        return {one.name: one for child in _children(self.body) if not _head(child) for one in _declared(child)}

    @cached_property
    def methods(self) -> Mapping[str, Sequence[Method]]:
        """Its functions and operators by name: "get", "operator[]"; conversions are "operator T"."""
        found: dict[str, list[Method]] = {}
        for child in _children(self.body):
            for name, returns in _head(child):
                definition = child if child.type == "function_definition" else None
                found.setdefault(name, []).append(Method(returns, definition, self.document))
        return found

    @cached_property
    def layout(self) -> tuple[str, ...]:
        """The written types of what its objects consist of."""
        return tuple(member.type_text for member in data_members(self.body))


@dataclass
class Classes:
    """The classes of a set of documents, by their bare names."""

    documents: Sequence[Document]
    _found: dict[str, tuple[ClassBody, ...]] = field(default_factory=dict)

    def named(self, name: str) -> tuple[ClassBody, ...]:
        """The classes called `name`, whatever namespace it is written with."""
        name = name.rpartition("::")[2]
        if name not in self._found:
            self._found[name] = tuple(self._bodies(name))
        return self._found[name]

    @cached_property
    def _places(self) -> Mapping[str, Sequence[tuple[Document, int]]]:
        found: dict[str, list[tuple[Document, int]]] = {}
        for document in self.documents:
            for match in _CLASS.finditer(document.code):
                found.setdefault(match.group(1).decode(), []).append((document, match.end() - 1))
        return found

    def _bodies(self, name: str) -> Iterator[ClassBody]:
        for document, brace in self._places.get(name, ()):
            node = document.whole.node_at(Span(brace, brace + 1))
            while node is not None and node.type != "field_declaration_list":
                node = node.parent
            if node is not None:
                yield ClassBody(name, document, node)

    @property
    def names(self) -> Iterable[str]:
        """The names of all classes."""
        return self._places.keys()

    def with_method(self, method: str) -> tuple[Method, ...]:
        """The functions called `method`, of whatever class."""
        if method not in self.method_names:
            return ()
        return tuple(one for name in self._places for body in self.named(name) for one in body.methods.get(method, ()))

    @cached_property
    def method_names(self) -> frozenset[str]:
        """The names of all functions that some class has."""
        return frozenset(
            method for name in self._places for one in self.named(name) for method in one.methods
        )  # fmt: skip


def class_around(node: Node) -> Node | None:
    """The innermost class in whose body `node` is."""
    around: Node | None = node
    while around is not None and around.type not in _CLASS_NODES:
        around = around.parent
    return around


def template_parameters(node: Node) -> tuple[str, ...]:
    """The names that the template declaration `node` declares; none where it is something else."""
    listed = node.child_by_field_name("parameters") if node.type == "template_declaration" else None
    names = []
    for parameter in listed.named_children if listed is not None else ():
        named = [c for c in parameter.named_children if c.type in ("type_identifier", "identifier")]
        names.append(text_of(named[-1] if parameter.type == "parameter_declaration" else named[0]) if named else "")
    return tuple(names)


def _children(body: Node) -> Iterator[Node]:
    for child in body.named_children:
        if child.type in TRANSPARENT:
            yield from _children(child)
        else:
            yield child


def _declared(child: Node) -> Iterator[Declared]:
    if child.type in ("field_declaration", "declaration"):
        yield from declared_by(child)


def _head(child: Node) -> list[tuple[str, str]]:
    """The name and the return type of the member function that `child` declares; nothing for data."""
    if child.type not in ("field_declaration", "declaration", "function_definition"):
        return []
    declarator, marks = child.child_by_field_name("declarator"), ""
    while declarator is not None and declarator.type in _MARKS:
        marks += _MARKS[declarator.type]
        declarator = next((c for c in declarator.named_children if c.type.endswith("declarator")), None)
    if declarator is None:
        return []
    if declarator.type == "operator_cast":
        kind = declarator.child_by_field_name("type")
        return [(f"operator {text_of(kind)}", text_of(kind))] if kind is not None else []
    if declarator.type != "function_declarator":
        return []
    name, kind = declarator.child_by_field_name("declarator"), child.child_by_field_name("type")
    if name is None or kind is None or name.type == "parenthesized_declarator":
        return []
    trailing = next((c for c in declarator.named_children if c.type == "trailing_return_type"), None)
    qualifiers = " ".join(text_of(c) for c in child.children if c.type == "type_qualifier")
    written = text_of(trailing).removeprefix("->") if trailing is not None else f"{qualifiers} {text_of(kind)}{marks}"
    return [("".join(text_of(name).split()), written.strip())]
