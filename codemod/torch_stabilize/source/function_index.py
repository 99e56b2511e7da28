"""The functions of a set of documents by their name, without reading every document for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function, read_signatures
from torch_stabilize.source.types import CppType

Located = tuple[Document, Function]
# A call by its name, the types of its arguments and its template arguments.
Asked = tuple[str, tuple[CppType, ...], tuple[CppType, ...]]


@dataclass(frozen=True)
class FunctionIndex:
    """Functions by bare name. A document is read once somebody asks for a name that is in it.

    `results` are what calls give back, kept for those of functions that write down what they return.
    """

    documents: Sequence[Document]
    _found: dict[str, tuple[Located, ...]] = field(default_factory=dict, repr=False, compare=False)
    _meant: dict[str, tuple[Located, ...]] = field(default_factory=dict, repr=False, compare=False)
    results: dict[Asked, frozenset[CppType]] = field(default_factory=dict, repr=False, compare=False)
    _by_scope: dict[str, dict[str, tuple[Located, ...]]] = field(default_factory=dict, repr=False, compare=False)

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

    def meant_by(self, reference: str) -> tuple[Located, ...]:
        """Every function that `reference`, a name as written somewhere, may mean, with its document."""
        if reference not in self._meant:
            owner, _, name = reference.strip().removeprefix("::").rpartition("::")
            found = self._with_scope(name, owner.rpartition("::")[2]) if owner else self.named(name)
            self._meant[reference] = tuple(located for located in found if located[1].answers_to(reference))
        return self._meant[reference]

    def _with_scope(self, name: str, scope: str) -> tuple[Located, ...]:
        """The functions called `name` directly in a namespace called `scope`, and those in none."""
        if name not in self._by_scope:
            scopes: dict[str, list[Located]] = {}
            for located in self.named(name):
                scopes.setdefault(located[1].qualified.rpartition("::")[0].rpartition("::")[2], []).append(located)
            order = {id(located): place for place, located in enumerate(self.named(name))}
            bare = scopes.get("", [])
            self._by_scope[name] = {
                one: tuple(sorted([*found, *(bare if one else [])], key=lambda located: order[id(located)]))
                for one, found in (scopes | {"": bare}).items()
            }
        return self._by_scope[name].get(scope, self._by_scope[name][""])

    def __contains__(self, name: str) -> bool:
        """Whether there is a function called `name`."""
        return bool(self.named(name))
