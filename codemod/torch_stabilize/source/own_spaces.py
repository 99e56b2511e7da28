"""Namespaces and classes of the project that have the name of one of torch's, within another namespace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document

_NAMED = re.compile(rb"\b(?:namespace|struct|class)\s+(?:\w+\s*::\s*)*(?P<name>torch|at|c10)\b\s*[:{]")
_SCOPES = frozenset({"namespace_definition", "class_specifier", "struct_specifier"})
Path = tuple[str, ...]


class OwnSpaces:
    """Where `at::` means a namespace of the project's own, in a set of documents that belong together."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents

    @cached_property
    def _own(self) -> frozenset[tuple[Path, str]]:
        """The names with the namespaces that they stand in."""
        found: set[tuple[Path, str]] = set()
        for document in self._documents:
            for match in _NAMED.finditer(document.code):
                node = document.whole.node_at(Span(*match.span("name")))
                path = path_of(node)
                if len(path) > 1:
                    found.add((path[:-1], path[-1]))
        return frozenset(found)

    def has(self, name: str, node: Node) -> bool:
        """Whether a qualified `name` at `node` means a namespace or class of the project's own."""
        first, _, rest = name.partition("::")
        if not rest or not self._own:
            return False
        around = path_of(node)
        return any((around[:length], first) in self._own for length in range(1, len(around) + 1))


def path_of(node: Node | None) -> Path:
    """The namespaces and classes around a node, the outermost first; also those a function is defined outside of."""
    found: list[str] = []
    while node is not None:
        if node.type in _SCOPES and (name := node.child_by_field_name("name")) is not None:
            found[:0] = "".join(text_of(name).split()).split("::")
        elif node.type == "function_definition":
            declarator = node.child_by_field_name("declarator")
            while declarator is not None and declarator.type != "qualified_identifier":
                declarator = declarator.child_by_field_name("declarator")
            scope = text_of(declarator).rpartition("::")[0] if declarator is not None else ""
            found[:0] = [part for part in "".join(scope.split()).split("::") if part]
        node = node.parent
    return tuple(found)
