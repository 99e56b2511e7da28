"""Whether every library would have what its units ask for, as it did."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch_stabilize.bindings.codes import STAYS_BOUND, STAYS_FOR_OTHERS
from torch_stabilize.bindings.reading.read import has_bindings
from torch_stabilize.buildfiles.model import Library, Reference
from torch_stabilize.model import Diagnostic, Span
from torch_stabilize.program import codes
from torch_stabilize.program.codes import finding
from torch_stabilize.program.link import Linker, linker_of
from torch_stabilize.program.planned import Planned
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import words_of
from torch_stabilize.source.symbols import Definition, Symbol

_SHOWN = 3
_STABLE_TENSOR = re.compile(r"\b(?:torch::)?stable::Tensor\b")
_STAYING = (STAYS_BOUND.code, STAYS_FOR_OTHERS.code)  # what stays is told: not that something else would miss it


@dataclass(frozen=True)
class LinkCheck:
    """The links of a plan: of libraries with a unit that changes, and of names that may be concerned."""

    planned: Planned
    _mentions: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def before(self) -> Linker:
        """The symbols of the tree as it was."""
        return linker_of(self.planned.before)

    @cached_property
    def after(self) -> Linker:
        """The symbols of the tree as it would be."""
        return Linker(self.planned.after)

    @cached_property
    def touched(self) -> frozenset[str]:
        """The units, by their new paths, that change or whose libraries do."""
        planned = self.planned
        homes = {path: {library.key for library, _ in owners} for path, owners in planned.before.by_unit.items()}
        return frozenset(
            path
            for path, owners in planned.after.by_unit.items()
            if planned.after.snapshot.exists(path)
            and (path in planned.origin or {library.key for library, _ in owners} != homes.get(path))
        )

    @cached_property
    def leaving(self) -> frozenset[str]:
        """The bare names that units defined which change or move."""
        planned = self.planned
        then = {planned.then(path) for path in self.touched} | set(planned.moved)
        units = [path for path in then if path in planned.before.by_unit and planned.snapshot.exists(path or "")]
        return frozenset(d.symbol.bare for path in units if path for d in self.before.definitions(path))

    def findings(self) -> Iterator[Diagnostic]:
        """One finding for each library and file whose definitions it would lack."""
        lost: dict[tuple[str, str], list[tuple[str, Reference]]] = {}
        for library in self.planned.after.libraries:
            for unit in sorted(library.units):
                if not self.planned.after.snapshot.exists(unit):
                    continue
                for reference in self._asked(library, unit):
                    definer = self._missing(library, unit, reference)
                    if definer is not None:
                        lost.setdefault((library.module or library.name, definer), []).append((unit, reference))
        for (name, definer), found in lost.items():
            yield from self._shown(name, definer, found)

    def _asked(self, library: Library, unit: str) -> Sequence[Reference]:
        """What is to be checked of a unit: everything where it changes, what others took away where it does not."""
        if unit in self.touched:
            return self.after.references(unit, abi=library.abi)
        if not self.leaving or not self._concerns(library):
            return ()
        closure = self.planned.after.closure(unit)
        names = frozenset[str]().union(*(self._mentioned(path) for path in closure))
        return self.after.references(unit, names, library.abi) if names else ()

    def _mentioned(self, path: str) -> frozenset[str]:
        """The names of `leaving` that a file has, read once for all the units that include it."""
        if path not in self._mentions:
            data = self.planned.after.snapshot.read(path)
            words = words_of(data)
            self._mentions[path] = frozenset(
                name
                for name, word in ((name, name.removeprefix("~").encode()) for name in self.leaving)
                if word in words or (not word.replace(b"_", b"").isalnum() and word in data)
            )
        return self._mentions[path]

    @cached_property
    def _before(self) -> dict[tuple[str, str], Library]:
        return {one.key: one for one in reversed(self.planned.before.libraries)}

    def _concerns(self, library: Library) -> bool:
        """Whether a unit that changes was in this library."""
        old = self._before.get(library.key)
        return old is not None and not old.units.isdisjoint(self.planned.moved)

    def _missing(self, library: Library, unit: str, reference: Reference) -> str | None:
        """The file that defines what `unit` refers to and that is not in its library; None where nothing is missing."""
        symbol = reference.symbol
        units = library.units
        if self.after.is_defined_in(symbol, sorted(units, key=lambda path: (path not in self.touched, path))):
            return None
        definitions = list(self.after.defining(symbol))
        if any(symbol.bare in self.after.made(path).hidden for path in units if path in self.after._made):
            return None  # a macro that cannot be read may define it
        then = self.planned.then(unit)
        if then is None and self._was_hidden(library, unit, reference):
            return None
        if then is None:
            elsewhere = [d.path for d in definitions] or [d.path for d in self.before.defining(symbol)]
            return elsewhere[0] if elsewhere else None
        if not self.planned.snapshot.exists(then):
            return None
        homes = [owner for owner, _ in self.planned.before.by_unit.get(then, ())]
        own = [home for home in homes if library.key in self.planned.partners[home.key]]
        is_shared = bool(homes) and (not own or len(homes) > len(own))
        homes = own or homes  # what one of several libraries of a unit had says nothing of the others
        had_it = any(self.before.is_defined_in(symbol, one.units) for one in own)
        if is_shared and not had_it and self._is_conditional(unit, symbol.bare):
            return None  # bindings of several libraries: what the flags of this one hide was hidden before
        had = [d.path for d in self._defining_before(symbol) if any(d.path in home.units for home in homes)]
        if had:
            return self.planned.now(had[0]) or had[0]
        is_new = not any(r.symbol.name == symbol.name for r in self.before.references(then, frozenset({symbol.bare})))
        return definitions[0].path if definitions and is_new and homes else None

    def _defining_before(self, symbol: Symbol) -> Iterator[Definition]:
        """What defined `symbol` in the tree as it was: tensors in its parameters may have been torch's then."""
        yield from self.before.defining(symbol)
        legacy = tuple(_STABLE_TENSOR.sub("at::Tensor", one) for one in symbol.types or ())
        if legacy and legacy != symbol.types:
            yield from self.before.defining(symbol._replace(types=legacy))

    def _was_hidden(self, library: Library, unit: str, reference: Reference) -> bool:
        """Whether a new file of registrations names what the flags of this library hide, as in the one it is of."""
        if len(self.planned.after.by_unit.get(unit, ())) < 2:
            return False
        legacy = [one for one in self.planned.before.libraries if library.key in self.planned.partners[one.key]]
        had_it = any(self.before.is_defined_in(reference.symbol, one.units) for one in legacy)
        return bool(legacy) and not had_it and self._is_conditional(unit, reference.symbol.bare)

    def _is_conditional(self, unit: str, name: str) -> bool:
        """Whether a file of registrations names a function under conditions alone."""
        document = self.planned.after.snapshot.document(unit)
        if not has_bindings(document.data):
            return False
        places = re.finditer(rb"(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)", document.code)
        return all(conditions_at(document, place.start()) for place in places)

    def _shown(self, name: str, definer: str, found: list[tuple[str, Reference]]) -> Iterator[Diagnostic]:
        symbols = list(dict.fromkeys(str(reference.symbol) for _, reference in found))
        unit = found[0][0]
        old = self.planned.then(definer) or definer
        if any(self.planned.said(reference.symbol.bare, but=_STAYING) for _, reference in found):
            return
        if any(self.planned.said(path, but=_STAYING) for path in (definer, old)):
            return  # a source that is built elsewhere or nowhere: what it defines is missing for that reason
        more = f" and {len(symbols) - _SHOWN} more" if len(symbols) > _SHOWN else ""
        is_one = len(symbols) == 1
        message = (
            f"{', '.join(symbols[:_SHOWN])}{more}, which {unit} uses, {'is' if is_one else 'are'} defined in "
            f"{definer}, which is not built into {name}"
        )
        if not self.planned.after.snapshot.exists(definer) or self._is_gone(definer, found):
            message = f"{', '.join(symbols[:_SHOWN])}{more}, which {unit} uses in {name}, would no longer be defined"
        place = (old, Span(0, 0)) if self.planned.snapshot.exists(old) else self.planned.place(unit)
        yield finding(
            codes.NOT_LINKED, place, message, f"Build what defines it into {name}, or leave both where they are."
        )

    def _is_gone(self, definer: str, found: list[tuple[str, Reference]]) -> bool:
        return not any(d.path == definer for _, reference in found for d in self.after.defining(reference.symbol))


def check_links(planned: Planned) -> Iterator[Diagnostic]:
    """What units would ask for that their libraries would lack."""
    yield from LinkCheck(planned).findings()
