"""Every operator of a repository in one list, and whether a migration kept the list as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.given_back import kernel_name
from torch_stabilize.bindings.keys import NO_KEY, kept_keys
from torch_stabilize.bindings.reading.model import BlockKind, Operator, Side, Statement
from torch_stabilize.bindings.reading.registry import Registry, registry_of
from torch_stabilize.bindings.schemas.infer import stable_schema
from torch_stabilize.bindings.select import diagnostic
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.surface.schema import SchemaError, normalised, parse_schema


@dataclass(frozen=True)
class OpEntry:
    """One operator of one build. `written` is its schema as written, "" where torch infers it from the C++ type.

    `keys` are the dispatch keys as they are written, "" for none, sorted; `functions` the C++ functions in the order of
    `keys`; `file` and `span` where it is defined, or first implemented where the definition is elsewhere; `build` is
    "" for the main build and the path of its bindings for an alternative one.
    """

    namespace: str
    name: str
    overload: str
    written: str
    keys: tuple[str, ...]
    functions: tuple[str, ...]
    file: str
    side: Side
    span: Span = field(default_factory=lambda: Span(0, 0))
    build: str = ""
    definitions: int = 1
    is_python: bool = False  # a function of a Python module, and no operator yet

    @property
    def full_name(self) -> str:
        """`namespace::name.overload`."""
        return f"{self.namespace}::{self.name}" + (f".{self.overload}" if self.overload else "")

    @property
    def schema(self) -> str:
        """The schema in one spelling."""
        return normalised(self.written) if self.written else ""


def inventory(snapshot: Snapshot, layout: Layout, definitions: Mapping[str, str] | None = None) -> tuple[OpEntry, ...]:
    """The operators that the tree registers, the legacy side's in front of the stable side's."""
    registry = Registry(snapshot, layout, definitions) if definitions else registry_of(snapshot, layout)
    return registry_inventory(registry)


def registry_inventory(registry: Registry) -> tuple[OpEntry, ...]:
    """The same of registrations that were read already."""
    entries = [_entry(registry, operator) for operator in registry.operators]
    return tuple(sorted(entries, key=lambda entry: entry.side is Side.STABLE))


def _entry(registry: Registry, operator: Operator) -> OpEntry:
    named = ((s.key, s.function) for s in operator.implementations if s.function)
    implemented = sorted((key, function.name or " ".join(function.text.split())) for key, function in named)
    first: Statement = (*operator.definitions, *operator.implementations)[0]
    schema = next((d.schema for d in operator.definitions if d.schema), "")
    return OpEntry(
        namespace=operator.namespace,
        name=operator.name,
        overload=operator.overload,
        written=operator.full_name + schema if schema else "",
        keys=tuple(key for key, _ in implemented),
        functions=tuple(function for _, function in implemented),
        file=first.path,
        side=operator.side,
        span=first.span,
        build=registry.build_of(first.path),
        definitions=len(operator.definitions),
        is_python=first.block.kind is BlockKind.PYBIND,
    )


def compare_inventories(before: Sequence[OpEntry], after: Sequence[OpEntry]) -> tuple[Diagnostic, ...]:
    """What a migration lost, added, renamed or re-keyed, one diagnostic each; nothing where it kept the inventory.

    An operator may change sides, have the schema written out that torch inferred, and have keys where it had none. A
    type that the stable boxing cannot pass may be the wider one that it can. Functions of a Python module are no
    operators, and may become some.
    """
    functions = {entry.name for entry in before if entry.is_python}
    functions |= {kernel_name(name) for name in functions}
    old = _merged(entry for entry in before if not entry.is_python)
    new = _merged(entry for entry in after if not entry.is_python)
    found = []
    for key, entry in old.items():
        if key not in new:
            found.append(_lost(entry, f"{entry.full_name} would no longer be registered"))
            continue
        found += _differences(entry, new[key])
    added = [(k, e) for k, e in new.items() if k not in old and _bare(e.full_name) not in functions]
    found += [_lost(e, f"{e.full_name} would be registered and was not before") for _, e in added]
    return tuple(found)


def _bare(full_name: str) -> str:
    """The name of an operator without its namespace and its overload."""
    return full_name.rpartition("::")[2].partition(".")[0]


class _Whole(NamedTuple):
    """An operator of one build over both sides."""

    full_name: str
    schemas: frozenset[str]  # as written
    keys: Counter[str]
    definitions: int
    has_bare_definition: bool  # on the stable side, where torch infers no schema
    file: str
    span: Span


def _merged(entries: Iterable[OpEntry]) -> dict[tuple[str, str], _Whole]:
    groups: dict[tuple[str, str], list[OpEntry]] = {}
    for entry in entries:
        groups.setdefault((entry.build, entry.full_name), []).append(entry)
    return {
        key: _Whole(
            full_name=members[0].full_name,
            schemas=frozenset(m.written for m in members if m.written),
            keys=Counter("" if k in NO_KEY else k for m in members for k in m.keys),
            definitions=sum(m.definitions for m in members),
            has_bare_definition=any(m.side is Side.STABLE and m.definitions and not m.written for m in members),
            file=members[0].file,
            span=members[0].span,
        )
        for key, members in groups.items()
    }


def _stable_spelling(written: str) -> str:
    schema = normalised(written)
    try:
        return str(stable_schema(parse_schema(schema)))
    except SchemaError:
        return schema


def _differences(old: _Whole, new: _Whole) -> list[Diagnostic]:
    found = []
    if old.schemas and old.schemas != new.schemas:
        before, after = ({_stable_spelling(written) for written in whole.schemas} for whole in (old, new))
        if before != after:
            now = " and ".join(sorted(after)) or "none"
            found.append(_lost(old, f"the schema of {old.full_name} would change from {min(before)} to {now}"))
    if new.has_bare_definition:
        found.append(_lost(old, f"{old.full_name} would be defined without a schema"))
    if not kept_keys(old.keys.elements(), new.keys.elements()):
        was = ", ".join(sorted(old.keys.elements())) or "none"
        now = ", ".join(sorted(new.keys.elements())) or "none"
        found.append(_lost(old, f"the dispatch keys of {old.full_name} would change from {was} to {now}"))
    if old.definitions != new.definitions:
        found.append(
            _lost(old, f"{old.full_name} would be defined {new.definitions} times instead of {old.definitions}")
        )
    return found


def _lost(entry: OpEntry | _Whole, message: str) -> Diagnostic:
    return diagnostic(
        codes.LOST_OPERATOR, entry.file, entry.span, message, severity=Severity.ERROR, subject=entry.full_name
    )
