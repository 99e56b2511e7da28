"""Whether every library, with its counterpart, would register what it did, once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch_stabilize.bindings.keys import NO_KEY
from torch_stabilize.bindings.reading.model import StatementKind
from torch_stabilize.buildfiles.model import Library
from torch_stabilize.model import Diagnostic, Span
from torch_stabilize.program import codes
from torch_stabilize.program.codes import finding
from torch_stabilize.program.conditions import are_exclusive
from torch_stabilize.program.link import linker_of
from torch_stabilize.program.planned import Planned
from torch_stabilize.program.registrations import Registered
from torch_stabilize.source.document import UNIT_SUFFIXES

_SHOWN = 3
_DEFINES = (StatementKind.DEF, StatementKind.CLASS)


@dataclass(frozen=True)
class RegistrationCheck:
    """The registrations of a plan, library by library."""

    planned: Planned

    def partners(self, library: Library) -> list[Library]:
        """The libraries of the planned tree that hold what `library` held."""
        places = (place for key in self.planned.partners[library.key] for place in self._after.get(key, ()))
        return [self.planned.after.libraries[place] for place in sorted(places)]

    @cached_property
    def _after(self) -> dict[tuple[str, str], list[int]]:
        """The places of the libraries of the planned tree."""
        found: dict[tuple[str, str], list[int]] = {}
        for place, library in enumerate(self.planned.after.libraries):
            found.setdefault(library.key, []).append(place)
        return found

    def findings(self) -> Iterator[Diagnostic]:
        """What would be lost, doubled or registered elsewhere."""
        for library in self.planned.before.libraries:
            if self._is_touched(library):
                yield from self._of(library)

    def _is_touched(self, library: Library) -> bool:
        """Whether a unit of it, or of its counterpart, changes."""
        old = any(path in self.planned.moved for path in library.units)
        return old or any(path in self.planned.origin for one in self.partners(library) for path in one.units)

    def _of(self, library: Library) -> Iterator[Diagnostic]:
        old = self.planned.had.of(library)
        new = [found for one in self.partners(library) for found in self.planned.have.of(one)]
        if self._has_legacy(library):
            return  # looked at together with the library that it is the counterpart of
        for one in self._partners_before(library):
            old = (*old, *self.planned.had.of(one))
        yield from self._lost(library, old, new)
        yield from self._doubled(library, old, new)
        yield from self._strange(library, new)

    def _lost(self, library: Library, old: Sequence[Registered], new: Sequence[Registered]) -> Iterator[Diagnostic]:
        """One finding for what a library would no longer register, and one for what another one takes."""
        now = {_identity(found) for found in new}
        lost: dict[Library | None, list[Registered]] = {}
        for found in dict.fromkeys(old):
            if _identity(found) in now or self._became_operator(found, new) or self._moved_to_def(found, new):
                continue
            if self.planned.said(found.name) or self._is_of_lost_file(found) or self._became_fake(found):
                continue
            if self._is_never_compiled(found, library):
                continue
            lost.setdefault(self._elsewhere(found, library), []).append(found)
        for taker, found_all in lost.items():
            name = library.module or library.name
            other = taker.module or taker.name if taker is not None else ""
            where = f"would be registered by {other}" if other else "would no longer be registered"
            place, message = _place(found_all[0]), f"{_listed(found_all, new)} of {name} {where}"
            advice = f"Register it in {name} or its counterpart."
            if taker is not None and taker.project != library.project and library.entries:
                entry = library.entries[0]  # two projects build the same sources
                place, message = (
                    (entry.file, entry.span),
                    f"{message}: {entry.file} builds the same sources into {name}",
                )
                advice = f"Build {name} of what {other} is built of, with TORCH_TARGET_VERSION too."
            yield finding(codes.REGISTRATION, place, message, advice)

    def _apart(self, library: Library, key: tuple[str, ...], new: Sequence[Registered]) -> bool:
        """Whether the sources that register it are never built together."""
        paths = {one.statement.path for one in new if _identity(one) == key}
        whens = [[w for one in self.partners(library) for p, w in one.members if p == path] for path in sorted(paths)]
        return len(paths) > 1 and all(
            are_exclusive(first, second)
            for at, ours in enumerate(whens)
            for theirs in whens[at + 1 :]
            for first in ours
            for second in theirs
        )

    def _doubled(self, library: Library, old: Sequence[Registered], new: Sequence[Registered]) -> Iterator[Diagnostic]:
        """What would be registered more than once in a library and its counterpart."""
        before, now = Counter(map(_identity, old)), Counter(map(_identity, new))
        for key, count in now.items():
            if count > max(before[key], 1) and not self._excluded(key, new) and not self._apart(library, key, new):
                found = next(one for one in new if _identity(one) == key)
                if not self.planned.said(found.name):
                    message = f"{found.op} would be registered {count} times"
                    yield finding(codes.REGISTRATION, self._old_place(found), message, "Register it once.")

    def _became_operator(self, found: Registered, new: Sequence[Registered]) -> bool:
        """Whether a function that was given to Python is defined and implemented as an operator."""
        same = [one.statement for one in new if not one.is_python and one.name == found.name]
        is_defined = any(statement.kind is StatementKind.DEF for statement in same)
        is_implemented = any(statement.registers_function for statement in same) or self._is_put_together(found)
        return found.is_python and is_defined and is_implemented

    def _is_put_together(self, found: Registered) -> bool:
        """Whether a Python file of the plan implements it from other operators."""
        pattern = re.compile(rb'\btorch\.library\.impl\(\w+, "' + re.escape(found.name.encode()) + rb'", "Composite')
        files = (path for path in self.planned.origin if path.endswith(".py"))
        return any(pattern.search(self.planned.after.snapshot.read(path)) for path in files)

    def _became_fake(self, found: Registered) -> bool:
        """Whether a kernel for Meta is a fake kernel in a Python file of the plan."""
        line = f'register_fake("{found.op}")'.encode()
        files = (path for path in self.planned.origin if path.endswith(".py"))
        return found.statement.key == "Meta" and any(line in self.planned.after.snapshot.read(path) for path in files)

    def _is_never_compiled(self, found: Registered, library: Library) -> bool:
        """Whether its condition hides a registration from `library`: what it registers is defined in others alone."""
        conditions = found.statement.conditions
        if not conditions or library.gaps:
            return False
        alike = (o.statement for o in self.planned.had.of(library) if o.name == found.name)
        functions = [one.function for one in alike if one.conditions == conditions and one.function is not None]
        linker = linker_of(self.planned.before)
        units = {d.path for one in functions if one.is_plain for d in linker.named(one.name.rpartition("::")[2])}
        return bool(units) and not units & library.units

    def _is_of_lost_file(self, found: Registered) -> bool:
        """Whether the file of a registration is what is missing, as was said."""
        if not self.planned.found:
            return False
        if self.planned.said(found.statement.path):
            return True
        new = [path for path, old in self.planned.origin.items() if old is None and self._names(path, found)]
        files = [self.planned.now(found.statement.path), *new]
        return any(path is not None and path not in self.planned.after.by_unit for path in files)

    def _names(self, path: str, found: Registered) -> bool:
        return path.endswith(UNIT_SUFFIXES) and found.name.encode() in self.planned.after.snapshot.read(path)

    def _has_legacy(self, library: Library) -> bool:
        """Whether `library` is the counterpart of another one of the tree as it was."""
        return any(
            library.key in self.planned.partners[other.key]
            for other in self.planned.before.libraries
            if other.key != library.key
        )

    def _partners_before(self, library: Library) -> list[Library]:
        keys = self.planned.partners[library.key] - {library.key}
        return [one for one in self.planned.before.libraries if one.key in keys]

    def _moved_to_def(self, found: Registered, new: Sequence[Registered]) -> bool:
        """A kernel without a key, or one of `def(schema, fn)`, may have got a key or an `impl` of its own."""
        same = [one for one in new if one.op == found.op]
        keyed = [one for one in same if one.statement.kind is StatementKind.IMPL or one.statement.registers_function]
        if found.statement.kind is StatementKind.DEF:
            return any(one.statement.kind is StatementKind.DEF for one in same)
        return found.statement.key in NO_KEY and bool(keyed)

    def _elsewhere(self, found: Registered, library: Library) -> Library | None:
        """Another library of the planned tree that registers it and did not."""
        keys = self.planned.partners[library.key]
        for one in self.planned.after.libraries:
            if one.key not in keys and any(_identity(other) == _identity(found) for other in self.planned.have.of(one)):
                return one
        return None

    def _excluded(self, key: tuple[str, ...], new: Sequence[Registered]) -> bool:
        """Whether conditions tell the registrations apart."""
        found = [one.statement.conditions for one in new if _identity(one) == key]
        return len(set(found)) == len(found) or len(new) != len(set(new))

    def _strange(self, library: Library, new: Sequence[Registered]) -> Iterator[Diagnostic]:
        """Functions of another library that this one's counterpart would register."""
        had = [found for one in (library, *self._partners_before(library)) for found in self.planned.had.of(one)]
        own = {(found.namespace, found.name) for found in had}
        names = {found.name for found in had}
        for other in self.planned.before.libraries:
            if other.key in self.planned.partners[library.key] or library.key in self.planned.partners[other.key]:
                continue
            theirs = {(found.namespace, found.name) for found in self.planned.had.of(other)}
            for found in new:
                key = (found.namespace, found.name)
                if key not in theirs or key in own or found.is_python or found.name in names:
                    continue
                if not self.planned.said(found.name):
                    mine = library.module or library.name
                    message = f"{found.op} is registered by {other.module or other.name} and would be by {mine}"
                    yield finding(codes.REGISTRATION, self._old_place(found), message, "Register it where it was.")

    def _old_place(self, found: Registered) -> tuple[str, Span]:
        return self.planned.place(found.statement.path, found.statement.span)


def _identity(found: Registered) -> tuple[str, ...]:
    """What tells a registration from others of its library."""
    kind = "def" if found.statement.kind in _DEFINES and not found.is_python else "impl"
    key = "" if kind == "def" or found.statement.key in NO_KEY else found.statement.key
    return ("python" if found.is_python else kind, found.namespace, found.name, key)


def _listed(found: Sequence[Registered], new: Sequence[Registered]) -> str:
    """The operators of `found`, with the key where the rest of an operator is registered."""
    whole = {one.op for one in new}
    texts = (one.op + (f" for {one.statement.key}" if one.op in whole and one.statement.key else "") for one in found)
    listed = list(dict.fromkeys(texts))
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def _place(found: Registered) -> tuple[str, Span]:
    return found.statement.path, found.statement.span


def check_registrations(planned: Planned) -> Iterator[Diagnostic]:
    """Registrations that the plan would lose, double or give to another library."""
    yield from RegistrationCheck(planned).findings()
