"""What each library registers: operators, their kernels, and functions that Python takes from the module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from torch_stabilize.bindings.reading.model import BlockKind, Statement, StatementKind
from torch_stabilize.bindings.reading.read import has_bindings, read_bindings
from torch_stabilize.buildfiles.model import Abi, Library
from torch_stabilize.layout.read import Program, is_seen, macros_of

_NEUTRAL = frozenset({"#ifdef TORCH_TARGET_VERSION", "#ifndef TORCH_TARGET_VERSION"})


class Registered(NamedTuple):
    """One registration of one library. `namespace` is "" for a function that is given to Python."""

    namespace: str
    name: str  # with its overload
    statement: Statement

    @property
    def op(self) -> str:
        """`namespace::name`, or the name of the Python function."""
        return f"{self.namespace}::{self.name}" if self.namespace else self.name

    @property
    def is_python(self) -> bool:
        """Whether this is a function of the module rather than an operator."""
        return self.statement.block.kind is BlockKind.PYBIND


@dataclass(frozen=True)
class Registrations:
    """The registrations of a program. A file that is built into two libraries registers in both."""

    program: Program
    _found: dict[tuple[str, str], tuple[Registered, ...]] = field(default_factory=dict, compare=False, repr=False)

    def of(self, library: Library) -> tuple[Registered, ...]:
        """What the units of `library` register."""
        if library.key not in self._found:
            self._found[library.key] = tuple(self._read(library))
        return self._found[library.key]

    def _read(self, library: Library) -> Iterator[Registered]:
        snapshot = self.program.snapshot
        abi = library.abi if library.abi is not Abi.MIXED else Abi.UNKNOWN
        macros = macros_of(library)
        known = {"TORCH_EXTENSION_NAME": library.name, "NAME": library.name}
        known |= {name: value for entry in library.entries for name, value in entry.macros if value.isidentifier()}
        for unit in sorted(library.units):
            for path in self._with_bindings(unit):
                for statement in read_bindings(snapshot.document(path), known).statements:
                    if statement.kind is StatementKind.OTHER and not statement.name:
                        continue
                    if not is_seen(statement.conditions, abi, macros):
                        continue
                    is_python = statement.block.kind is BlockKind.PYBIND
                    namespace = "" if is_python else statement.namespace or statement.block.namespace
                    yield Registered(namespace, statement.full_name, statement)

    def _with_bindings(self, unit: str) -> Iterator[str]:
        """The unit, if it registers something, and the sources that it includes as text."""
        snapshot = self.program.snapshot
        if snapshot.exists(unit) and has_bindings(snapshot.read(unit)):
            yield unit
