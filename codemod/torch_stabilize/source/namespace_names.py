"""Variables at namespace scope, by name, in the documents that can see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch_stabilize.source.declarations import TRANSPARENT, Declared, declared_by, declares_function
from torch_stabilize.source.document import UNIT_SUFFIXES, Document

_BLOCKS = frozenset({"namespace_definition", "declaration_list", "translation_unit"}) | TRANSPARENT


@dataclass
class NamespaceNames:
    """The variables that a set of documents declares outside of functions and classes. Results are kept."""

    documents: Sequence[Document]
    _of_document: dict[str, dict[str, list[Declared]]] = field(default_factory=dict)

    def named(self, name: str, seen_from: Document) -> Iterator[tuple[Document, Declared]]:
        """The variables called `name` (its last part counts) of `seen_from` and of headers."""
        last = name.rpartition("::")[2].strip()
        word = last.encode()
        for document in self.documents:
            if word not in document.words or (document is not seen_from and document.path.endswith(UNIT_SUFFIXES)):
                continue
            if document.path not in self._of_document:
                self._of_document[document.path] = _read(document)
            for declared in self._of_document[document.path].get(last, ()):
                yield document, declared


def _read(document: Document) -> dict[str, list[Declared]]:
    found: dict[str, list[Declared]] = {}
    waiting = [document.whole.tree.root_node]
    while waiting:
        node = waiting.pop()
        for child in node.named_children:
            if child.type in _BLOCKS:
                waiting.append(child)
            elif child.type == "declaration" and not declares_function(child):
                for declared in declared_by(child):
                    found.setdefault(declared.name, []).append(declared)
    return found
