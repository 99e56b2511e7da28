"""What a migration makes of what Python could call: the names before and after, and the schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch_stabilize.bindings.reading.model import BlockKind, Statement, StatementKind
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import Moved
from torch_stabilize.layout.read import libraries_of
from torch_stabilize.model import NamedCallable, Span
from torch_stabilize.surface.schema import Schema, normalised


def callables_of(
    registry: Registry, moved: Iterable[Moved], inferred: Mapping[tuple[str, Span], Schema]
) -> tuple[NamedCallable, ...]:
    """One for each definition of `moved`; `inferred` are schemas that are written nowhere, by place."""
    found = {
        one.statement: _callable(registry, one.statement, inferred)
        for one in moved
        if one.statement.kind is StatementKind.DEF and one.statement.name
    }
    return tuple(sorted(found.values()))


def _callable(registry: Registry, statement: Statement, inferred: Mapping[tuple[str, Span], Schema]) -> NamedCallable:
    stable = f"{statement.namespace}::{statement.full_name}"
    schema = inferred.get((statement.path, statement.span))
    signature = schema.signature if schema is not None else statement.schema or ""
    legacy = stable
    if statement.block.kind is BlockKind.PYBIND:
        legacy = f"{_module(registry, statement)}:{statement.name}"
    return NamedCallable(legacy, stable, normalised(stable + signature) if signature else "")


def _module(registry: Registry, statement: Statement) -> str:
    """The dotted name of the module, as far as the build files say it."""
    names = {name for _, name in libraries_of(registry.snapshot, (statement.path,))}
    last = statement.block.namespace
    fitting = [name for name in names if name.rpartition(".")[2] == last]
    return fitting[0] if len(fitting) == 1 else last
