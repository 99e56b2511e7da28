"""What the text of declarations says of types: aliases, members of classes, tensors in code no grammar can follow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tree_sitter import Node

from codemod.model import Span
from codemod.source.aliases import read_aliases
from codemod.source.declarations import data_members, declared_in
from codemod.source.document import HEADER_SUFFIXES, Document
from codemod.source.patterns import word_start
from codemod.source.types import UNKNOWN, CppType, parse_type

_CLASS = re.compile(
    rb"(?:" + word_start(b"struct") + rb"|" + word_start(b"class") + rb")"
    rb"\s+(?:\w+\([^)]*\)\s*)?(\w+)[^;{}()]*\{"
)
_MAKES_TENSOR_VISIBLE = re.compile(
    rb"\busing\s+(?:namespace\s+(?:torch|at|c10)\b|(?:torch|at|c10)::Tensor\b|Tensor\s*=)"
    rb"|\bnamespace\s+(?:torch|at|c10)\b(?!\s*=)|\btypedef\s+(?:torch|at|c10)::Tensor\s"
)
_FALLBACK = re.compile(
    rb"(?P<type>\b(?:const\s+)?(?:(?:torch|at|c10|std)::)+(?:stable::)?(?:optional\s*<[^;{}]*?>|Tensor))"
    rb"(?:\s+const)?\s*[&*]*\s*\b(?P<name>[A-Za-z_]\w*)\b"
)
# Other types than tensors, dtypes and devices, and what holds them, are of no interest to the rules.
_OF_INTEREST = frozenset({"Tensor", "ScalarType", "Device", "IntArrayRef", "TensorOptions"})
_BEYOND = re.compile(r"[{}=()]")  # types of functions, values
_WORD = re.compile(r"\w+")


@dataclass
class WrittenTypes:
    """The types that a set of documents writes down. Results are kept; documents do not change."""

    documents: Sequence[Document]
    _tensors: dict[str, dict[str, list[tuple[int, str]]]] = field(default_factory=dict)
    _members: dict[str, dict[str, str]] = field(default_factory=dict)

    def resolved(self, written: CppType) -> CppType:
        """A type behind the name that a `using T = at::Tensor;` gave it."""
        return _resolved(written, self._aliases)

    def sees_tensor(self, document: Document) -> bool:
        """Whether `Tensor` without a namespace may be torch's: the file or a header says so."""
        return any(path == document.path or path.endswith(HEADER_SUFFIXES) for path in self._tensor_is_visible)

    def last_tensor(self, name: str, document: Document, before: int) -> CppType:
        """In code the grammar cannot follow: the last `Tensor NAME` that was written before the place."""
        if document.path not in self._tensors:
            table: dict[str, list[tuple[int, str]]] = {}
            for match in _FALLBACK.finditer(document.code):
                table.setdefault(match["name"].decode(), []).append((match.end(), match["type"].decode()))
            self._tensors[document.path] = table
        written = [text for end, text in self._tensors[document.path].get(name, ()) if end <= before]
        return parse_type(written[-1]) if written else UNKNOWN

    def member(self, owner: str, member: str) -> str:
        """The written type of a member of the class `owner`, empty if it is not known."""
        return self._members_of(owner).get(member, "")

    def tensor_members(self, owner: str) -> tuple[str, ...]:
        """The names of the members of the class `owner` that are tensors."""
        members = self._members_of(owner)
        return tuple(name for name, written in members.items() if self.resolved(parse_type(written)).is_tensor)

    def _members_of(self, owner: str) -> Mapping[str, str]:
        if owner not in self._members:
            bodies = self._class_bodies(owner)
            self._members[owner] = {d.name: d.type_text for body in bodies for d in declared_in(body)}
        return self._members[owner]

    def layout(self, owner: str) -> tuple[CppType, ...]:
        """The types of what an object of the class `owner` consists of; nothing if more than one class has the name."""
        bodies = self._class_bodies(owner)
        if len(bodies) != 1:
            return ()
        return tuple(self.resolved(parse_type(member.type_text)) for member in data_members(bodies[0]))

    @cached_property
    def _aliases(self) -> Mapping[str, CppType]:
        """What the aliases stand for that lead, at once or by way of another, to a type of interest."""
        left = [a for d in self.documents for a in read_aliases(d) if not _BEYOND.search(a.type_text)]
        known: dict[str, CppType] = {}
        while True:
            names = _OF_INTEREST.union(known)
            reached = [alias for alias in left if not names.isdisjoint(_WORD.findall(alias.type_text))]
            if not reached:
                return known
            left = [alias for alias in left if names.isdisjoint(_WORD.findall(alias.type_text))]
            known |= {alias.name: _resolved(parse_type(alias.type_text), known) for alias in reached}

    @cached_property
    def _tensor_is_visible(self) -> frozenset[str]:
        return frozenset(d.path for d in self.documents if _MAKES_TENSOR_VISIBLE.search(d.code))

    @cached_property
    def _classes(self) -> Mapping[str, Sequence[tuple[Document, int]]]:
        """By name of a class, the documents that define one and where its brace stands."""
        found: dict[str, list[tuple[Document, int]]] = {}
        for document in self.documents:
            for match in _CLASS.finditer(document.code):
                found.setdefault(match.group(1).decode(), []).append((document, match.end() - 1))
        return found

    def _class_bodies(self, name: str) -> list[Node]:
        """The bodies of the classes called `name`."""
        found = []
        for document, brace in self._classes.get(name, ()):
            node = document.whole.node_at(Span(brace, brace + 1))
            while node is not None and node.type != "field_declaration_list":
                node = node.parent
            if node is not None:
                found.append(node)
        return found


def _resolved(written: CppType, aliases: Mapping[str, CppType]) -> CppType:
    meant = aliases.get(written.name)
    if meant is not None:
        return meant._replace(pointers=meant.pointers + written.pointers, const=meant.const or written.const)
    if written.arguments and aliases:
        return written._replace(arguments=tuple(_resolved(argument, aliases) for argument in written.arguments))
    return written
