"""Units that were not asked for and go with those that were, as one side would miss the other when it is linked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch_stabilize.buildfiles.model import Abi
from torch_stabilize.layout.read import Program
from torch_stabilize.migration.left_behind import still_called
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.program import codes
from torch_stabilize.program.abi import abi_of
from torch_stabilize.program.groups import suggested_with, with_headers
from torch_stabilize.program.hollow import has_init
from torch_stabilize.program.link import linker_of
from torch_stabilize.program.units import Units
from torch_stabilize.repository.layout import Group


class Along(NamedTuple):
    """A group with the units that come along, and the diagnostics about them.

    `shared` are units that both sides need: they stay, and the stable library builds them too. Those of them that use
    torch are `both`, code that each side compiles as its own.
    """

    group: Group
    shared: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    both: tuple[str, ...] = ()


def come_along(program: Program, units: Units, group: Group) -> Along:
    """`group` with what it needs of its library, and with what needs it there.

    What defines something for it comes along unless a unit that stays needs that too, or another library: then both
    sides compile it, or it stays, which is said by those who check the links. What calls it comes along where `scan`
    suggests both in one group.
    """
    shared: dict[str, str] = {}
    both: dict[str, str] = {}
    told: list[Diagnostic] = []
    while group.units:
        needs = _Needs(program, units, group, tuple(both))
        defining = {path: why for path, why in needs.defining().items() if path not in shared | both}
        kept = needs.kept_by_others(defining) | needs.built_elsewhere(defining)
        added = {path: why for path, why in defining.items() if path in kept and may_be_both(program, units, path)}
        both |= added
        shared |= {path: why for path, why in defining.items() if path in kept and _is_neutral(program, path)}
        joining = {path: why for path, why in defining.items() if path not in kept}
        callers = needs.callers()
        together = suggested_with(units, group.units) if callers else frozenset()
        joining |= {path: why for path, why in callers.items() if path in together}
        joining = joining or ({} if added else needs.rest())
        if not joining and not added:
            break
        told += [told_of(path, f"comes along: {why}") for path, why in sorted(joining.items())]
        if joining:
            group = with_headers(units, group.name, tuple(sorted({*group.units, *joining})), group.migrated)
    shared |= both
    told += [told_of(path, f"is built into both libraries: {why}") for path, why in sorted(shared.items())]
    return Along(group, tuple(shared), tuple(told), tuple(both))


def with_both(units: Units, group: Group, both: Iterable[str]) -> Group:
    """`group` with units that both sides compile, and the headers of these, as code that has to serve both."""
    known = {*group.files, *group.migrated, *group.shared_headers}
    headers = (path for path in units.graph.closure(both) if path not in known and not units.layout.is_stable(path))
    more = tuple(path for path in headers if units.is_unstable(path))
    return group._replace(shared_headers=tuple(dict.fromkeys((*group.shared_headers, *both, *more))))


def told_of(path: str, what: str) -> Diagnostic:
    """That a unit which was not asked for is taken, and how."""
    return Diagnostic(codes.COMES_ALONG.code, Severity.WARNING, path, Span(0, 0), f"{path} {what}")


def may_be_both(program: Program, units: Units, path: str) -> bool:
    """Whether both sides can compile a unit that uses torch: it registers nothing."""
    return not _is_neutral(program, path) and path not in units.bindings and _may_move(units, path)


def _is_neutral(program: Program, path: str) -> bool:
    """Whether a unit is the same code for both libraries."""
    return abi_of(program, path) is Abi.NEUTRAL


def _may_move(units: Units, path: str) -> bool:
    return path in units.legacy and not units.is_only_bindings(path)


class _Needs(NamedTuple):
    """What a group needs of its library and the library of it."""

    program: Program
    units: Units
    group: Group
    both: tuple[str, ...] = ()  # units that stay and that both sides compile

    @property
    def staying(self) -> frozenset[str]:
        """The units of the library that are none of the group's."""
        name = self.units.layout.legacy_library
        built = {unit for one in self.program.libraries if one.name == name for unit in one.units}
        return frozenset(built - {*self.group.units, *self.group.migrated})

    def defining(self) -> dict[str, str]:
        """Units that stay and define what those of the group ask for, with a reason."""
        linker, found = linker_of(self.program), dict[str, str]()
        staying, moving = self.staying, {*self.group.units, *self.group.migrated}
        for unit in (*self.group.units, *self.both) if staying else ():
            for reference in linker.references(unit, abi=Abi.LEGACY):
                if linker.is_defined_in(reference.symbol, {*moving, *self.both}):
                    continue
                for path in sorted({one.path for one in linker.defining(reference.symbol)} & staying):
                    if _may_move(self.units, path):
                        found.setdefault(path, f"{unit} uses {reference.symbol}, which it defines")
        return found

    def kept_by_others(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of `paths` that define something for a unit that stays and is none of them."""
        linker, asked = linker_of(self.program), set(paths)
        names = frozenset(d.symbol.bare for path in asked for d in linker.definitions(path))
        kept: set[str] = set()
        for unit in sorted(self.staying - asked) if asked else ():
            if self.program.snapshot.exists(unit) and not self.units.is_only_bindings(unit):
                for reference in linker.references(unit, names, Abi.LEGACY):
                    kept |= {one.path for one in linker.defining(reference.symbol)} & asked
        return frozenset(kept)

    def built_elsewhere(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of `paths` that another legacy library builds too, of which something stays."""
        name, found = self.units.layout.legacy_library, set[str]()
        leaving = {*self.group.units, *self.group.migrated}
        for path in paths:
            for library, _ in self.program.by_unit.get(path, ()):
                others = library.units - leaving - {path}
                if library.name != name and library.abi is not Abi.STABLE and others:
                    found.add(path)
        return frozenset(found)

    def callers(self) -> dict[str, str]:
        """Units that stay and call functions of the group, with a reason."""
        units = self.units
        found = still_called(units.snapshot, units.layout, units.graph, self.group)
        return {one.path: f"it calls {one.subject}" for one in found if _may_move(self.units, one.path)}

    def rest(self) -> dict[str, str]:
        """All that stays, where it uses no torch and nothing that the library was built for is left."""
        if not any(self.program.snapshot.exists(unit) and self._has_entry(unit) for unit in self.group.units):
            return {}
        staying = [unit for unit in sorted(self.staying) if self.program.snapshot.exists(unit)]
        if not all(_is_neutral(self.program, unit) and not self._has_entry(unit) for unit in staying):
            return {}
        return {unit: "nothing of torch is left in its library" for unit in staying if _may_move(self.units, unit)}

    def _has_entry(self, unit: str) -> bool:
        return has_init(self.program.snapshot.document(unit))
