"""What registrations in stable form are made from: the functions, types and operators of a group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch_stabilize.bindings.boxing.implementations import Boxer
from torch_stabilize.bindings.boxing.widening import Widening
from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.bindings.keys import KeyFinder
from torch_stabilize.bindings.reading.lambdas import StableLambda
from torch_stabilize.bindings.reading.model import Operator, Side
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.schemas.finder import SchemaFinder, Writers
from torch_stabilize.bindings.schemas.infer import read_type, type_aliases
from torch_stabilize.bindings.select import Selection
from torch_stabilize.bindings.writing.legacy_declarations import find_declarations
from torch_stabilize.bindings.writing.translate import visible_types
from torch_stabilize.model import Span
from torch_stabilize.repository.layout import Group

Place = tuple[str, Span]


@dataclass
class Sources:
    """A group with its registrations, and what is looked up in its files, each once."""

    registry: Registry
    group: Group
    selection: Selection
    target: str
    lambdas: Mapping[Place, StableLambda]
    writers: Writers = field(default_factory=dict)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The group's units and headers and the headers that declare operators."""
        paths = (*self.registry.layout.legacy_declarations, *self.group.units, *self.group.moving_headers)
        return tuple(path for path in paths if self.registry.snapshot.exists(path))

    @cached_property
    def aliases(self) -> dict[str, str]:
        """The type aliases that signatures may be written with."""
        found = type_aliases([self.registry.document(path) for path in self.files])
        exists = self.registry.snapshot.exists
        included = [p for p in self.registry.graph.closure(self.files) if p not in self.files and exists(p)]
        others = type_aliases([self.registry.document(path) for path in included])
        return {**{name: text for name, text in others.items() if read_type(text, others)}, **found}

    @cached_property
    def visible(self) -> Mapping[str, str]:
        """The types of torch that signatures may be written with without their namespace."""
        return visible_types(self.program.documents)

    @cached_property
    def program(self) -> Program:
        """Where the functions are looked up that a function calls."""
        paths = dict.fromkeys((*self.files, *self.group.shared_headers))
        return Program([self.registry.document(p) for p in paths if self.registry.snapshot.exists(p)])

    @cached_property
    def widening(self) -> Widening:
        """The functions whose parameters can become wider."""
        declarations = find_declarations(self.registry, self.selection.functions, self.group)
        return Widening(
            self.registry, self.group, self.program, self.selection.moved, self.aliases, declarations, self.target
        )

    @cached_property
    def boxer(self) -> Boxer:
        """What boxes the functions."""
        return Boxer(self.aliases, self.target, self.registry.document, self.program.documents)

    @cached_property
    def schema_finder(self) -> SchemaFinder:
        """What infers the schemas that are not written."""
        return SchemaFinder(
            self.registry, self.group, self.selection, self.program, self.aliases, self.operators, self.writers
        )

    @cached_property
    def key_finder(self) -> KeyFinder:
        """What finds the dispatch keys of what has none."""
        return KeyFinder(self.registry)

    @cached_property
    def operators(self) -> dict[tuple[str, str], Operator]:
        """The legacy operators by namespace and name."""
        return {(o.namespace, o.full_name): o for o in self.registry.operators if o.side is Side.LEGACY}

    @cached_property
    def whole(self) -> frozenset[tuple[str, Span]]:
        """The blocks of which every statement moves."""
        going = {(moved.statement.path, moved.statement.span) for moved in self.selection.moved}
        staying = {(s.path, s.block.span) for s in self.registry.statements if (s.path, s.span) not in going}
        return frozenset((m.statement.path, m.statement.block.span) for m in self.selection.moved) - staying
