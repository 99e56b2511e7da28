"""Units that were asked for and that units which stay need too: both libraries compile them, or they stay."""

from __future__ import annotations

from typing import NamedTuple

from torch_stabilize.bindings.codes import STAYS_FOR_OTHERS
from torch_stabilize.bindings.reading.registry import registry_of
from torch_stabilize.buildfiles.model import Abi
from torch_stabilize.layout.read import Program
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.program.abi import abi_of
from torch_stabilize.program.groups import suggested_with, with_headers
from torch_stabilize.program.link import linker_of
from torch_stabilize.program.units import Units
from torch_stabilize.repository.layout import Group, Layout


class Asked(NamedTuple):
    """A request without the units that stay, and what is to be said of these."""

    group: Group
    diagnostics: tuple[Diagnostic, ...] = ()


def without_shared(program: Program, layout: Layout, group: Group) -> Asked:
    """`group` without those units that no operator is bound to and that units of its libraries need which stay.

    One that what migrates needs as well is compiled by both libraries from where it is, as if it had not been asked
    for. One that nothing else needs stays, which is by hand.
    """
    units = Units(program.snapshot, layout, program.config)
    shared: dict[str, str] = {}
    for unit in group.units:
        users = _staying_users(program, units, group, unit)
        if users and not _is_bound(program, layout, unit):
            shared[unit] = ", ".join(users)
    if not shared:
        return Asked(group)
    left = tuple(unit for unit in group.units if unit not in shared)
    needed = _needed(program, left, shared)
    told = tuple(
        Diagnostic(
            STAYS_FOR_OTHERS.code, Severity.ERROR, unit, Span(0, 0),
            f"{unit} stays: {users} need what it defines, and stay",
            "Migrate one of them with it or before it: then both libraries compile it.",
        )
        for unit, users in shared.items()
        if unit not in needed
    )  # fmt: skip
    return Asked(
        with_headers(units, group.name, left, group.migrated)._replace(registrations=group.registrations), told
    )


def _staying_users(program: Program, units: Units, group: Group, unit: str) -> list[str]:
    """The units that stay in the legacy libraries that `unit` is built into, and that use what it defines.

    What functions of headers use does not count: operators may be bound to these.
    """
    libraries = [one for one, _ in program.by_unit.get(unit, ()) if one.abi is not Abi.STABLE]
    moving = {*group.units, *group.migrated}
    staying = sorted({other for one in libraries for other in one.units} - moving)
    linker = linker_of(program)
    if not staying or abi_of(program, unit) is Abi.NEUTRAL:
        return []
    names = frozenset(d.symbol.bare for d in linker.definitions(unit))
    users = [
        other
        for other in staying
        if program.snapshot.exists(other)
        and not units.is_only_bindings(other)
        and any(
            symbol.bare.encode() in program.snapshot.document(other).words
            and any(definition.path == unit for definition in linker.defining(symbol))
            for symbol in (reference.symbol for reference in linker.references(other, names, Abi.LEGACY))
        )
    ]
    joining = suggested_with(units, group.units) if users else frozenset()
    return [other for other in users if other not in joining]


def _is_bound(program: Program, layout: Layout, unit: str) -> bool:
    """Whether an operator or a function of Python is bound to a function that `unit` defines, or it binds any."""
    registry = registry_of(program.snapshot, layout)
    functions = [one.function for one in registry.statements if one.function is not None]
    bound = {name.rpartition("::")[2] for one in functions for name in (one.name, *one.calls)}
    defined = {definition.symbol.bare for definition in linker_of(program).definitions(unit)}
    return unit in registry.bindings or bool(bound & defined)


def _needed(program: Program, left: tuple[str, ...], shared: dict[str, str]) -> set[str]:
    """Those of `shared` that define something for units that migrate, or for others of them that do."""
    linker = linker_of(program)
    found: set[str] = set()
    asking = list(left)
    while asking:
        for reference in linker.references(asking.pop(), abi=Abi.LEGACY):
            for path in {one.path for one in linker.defining(reference.symbol)} & set(shared) - found:
                found.add(path)
                asking.append(path)
    return found
