"""The functions of a set of documents by their name, without reading every document for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function, read_signatures

Located = tuple[Document, Function]


@dataclass(frozen=True)
class FunctionIndex:
    """Functions by bare name. A document is read once somebody asks for a name that is in it."""

    documents: Sequence[Document]
    _found: dict[str, tuple[Located, ...]] = field(default_factory=dict, repr=False, compare=False)

    def named(self, name: str) -> tuple[Located, ...]:
        """Every function called `name`, declared or defined, with its document."""
        if name not in self._found:
            word = name.encode()
            self._found[name] = tuple(
                (document, function)
                for document in self.documents
                if word in document.words
                for function in read_signatures(document)
                if function.name == name
            )
        return self._found[name]

    def __contains__(self, name: str) -> bool:
        """Whether there is a function called `name`."""
        return bool(self.named(name))
