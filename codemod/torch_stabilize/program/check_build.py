"""Who builds each unit: in every library that it was in, that library or its counterpart, under the same conditions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch_stabilize.bindings.reading.read import has_bindings
from torch_stabilize.buildfiles.model import Abi, Library
from torch_stabilize.model import Diagnostic, Span
from torch_stabilize.program import codes
from torch_stabilize.program.abi import abi_of
from torch_stabilize.program.check_entries import entry_place
from torch_stabilize.program.codes import finding
from torch_stabilize.program.conditions import are_exclusive
from torch_stabilize.program.hollow import has_init, is_hollow
from torch_stabilize.program.planned import Planned
from torch_stabilize.source.document import UNIT_SUFFIXES

_Place = tuple[str, Span]


class _Fault(NamedTuple):
    """What is wrong with one unit; units with the same `library`, `text` and `advice` are one finding."""

    library: str
    text: str  # behind the units: "built into _C and would be built into nothing"
    unit: str
    place: _Place
    advice: str
    counterpart: str = ""


def check_membership(planned: Planned) -> Iterator[Diagnostic]:
    """One finding for the units that a library would lose, share or get in one way."""
    faults: dict[tuple[str, str], list[_Fault]] = {}
    for fault in (*_faults(planned), *_joined(planned), *_built_by_nothing(planned)):
        if not any(planned.said(word) for word in (fault.unit, fault.library, fault.counterpart)):
            faults.setdefault((fault.library, fault.text), []).append(fault)
    for (_, text), found in faults.items():
        units = list(dict.fromkeys(fault.unit for fault in found))
        more = f" and {len(units) - 1} more" if len(units) > 1 else ""
        yield finding(codes.MEMBERSHIP, found[0].place, f"{units[0]}{more} {text}", found[0].advice)


def _faults(planned: Planned) -> Iterator[_Fault]:
    after = planned.after.by_unit
    for library in planned.before.libraries:
        allowed = planned.partners[library.key]
        for unit in sorted(library.units):
            now = planned.now(unit)
            if now is None or not planned.snapshot.exists(unit):
                continue  # removed, or generated
            owners = after.get(now, ())
            ours = [(owner, when) for owner, when in owners if owner.key in allowed]
            place, name = _written(library, unit), _name(library)
            if not ours and _is_left_empty(planned, library, now):
                continue
            if not ours:
                names = sorted({_name(owner) for owner, _ in owners})
                where = f"would be built into {' and '.join(names) or 'nothing'}"
                if not names and _is_unknown(planned, library):
                    where = "whether it would be cannot be read"
                goal = _counterpart(planned, library)
                yield _Fault(name, f"was built into {name} and {where}", unit, place, f"Add {now} to {goal}.", goal)
            elif len({owner.key for owner, _ in ours}) > 1 and not _may_be_shared(planned, allowed, unit):
                names = sorted({_name(owner) for owner, _ in ours})
                advice = "Keep it in one of them."
                text = f"would be built into {' and into '.join(names)}"
                yield _Fault(name, text, unit, place, advice, _counterpart(planned, library))
            else:
                for when in (when for path, when in library.members if path == unit):
                    if all(are_exclusive(when, other) for _, other in ours):
                        where = " and ".join(when)
                        text = f"was built into {name} where {where}, and would not be built there"
                        yield _Fault(name, text, unit, place, "Build it under that condition too.")


def _is_left_empty(planned: Planned, library: Library, path: str) -> bool:
    """Whether a library is built no more, and `path` has nothing that it could miss: other libraries are made of it."""
    gone = all(one.key != library.key for one in planned.after.libraries)
    return gone and is_hollow(planned.after.snapshot.document(path))


def _name(library: Library) -> str:
    return library.module or library.name


def _is_unknown(planned: Planned, library: Library) -> bool:
    """Whether a library that may hold what `library` held has sources that could not be read."""
    keys = planned.partners[library.key]
    return any(one.key in keys and planned.after.has_gap(one) for one in planned.after.libraries)


def _may_be_shared(planned: Planned, allowed: frozenset[tuple[str, str]], unit: str) -> bool:
    """Whether a unit was in a library and its counterpart before, or uses no torch, and so has one form for both."""
    owners = {owner.key for owner, _ in planned.before.by_unit.get(unit, ())}
    now = planned.now(unit) or unit
    if len(owners & allowed) > 1 or abi_of(planned.after, now) is Abi.NEUTRAL:
        return True
    return any(
        b"TORCH_TARGET_VERSION" in line
        for line in planned.after.snapshot.document(now).code.splitlines()
        if line.lstrip().startswith(b"#")
    )  # code of its own for each side


def _counterpart(planned: Planned, library: Library) -> str:
    """The name of the library that units of `library` go to."""
    others = planned.partners[library.key] - {library.key}
    found = [one for one in planned.after.libraries if one.key in others]
    return _name(found[0]) if found else _name(library)


def _joined(planned: Planned) -> Iterator[_Fault]:
    """Units that were in some library and would be in another one as well that is none of theirs."""
    homes: dict[str, set[tuple[str, str]]] = {}
    for library in planned.before.libraries:
        for unit in library.units:
            homes.setdefault(unit, set()).update(planned.partners[library.key])
    known = {key for keys in planned.partners.values() for key in keys}
    for library in planned.after.libraries:
        for unit in sorted(library.units) if library.key in known else ():
            old = planned.then(unit)
            if old is None or old not in homes or library.key in homes[old] or not _is_kept(planned, old, homes[old]):
                continue
            if _has_same_bindings(planned, library, old, homes[old]):
                continue
            text = f"would be built into {_name(library)}, which it is no part of"
            yield _Fault(_name(library), text, old, entry_place(planned, library.entries[0]), "Take it out of there.")


def _has_same_bindings(planned: Planned, library: Library, unit: str, homes: set[tuple[str, str]]) -> bool:
    """Whether `unit` is the bindings of libraries that shared a file of bindings with the one it joins now."""
    if not planned.snapshot.exists(unit) or not has_bindings(planned.snapshot.read(unit)):
        return False
    before = planned.before.libraries
    theirs = {path for one in before if library.key in planned.partners[one.key] for path in one.units}
    ours = {path for one in before if planned.partners[one.key] & homes for path in one.units}
    shared = (path for path in sorted(theirs & ours) if planned.snapshot.exists(path))
    return any(has_bindings(planned.snapshot.read(p)) or has_init(planned.snapshot.document(p)) for p in shared)


def _is_kept(planned: Planned, unit: str, homes: set[tuple[str, str]]) -> bool:
    """Whether a unit is still built where it belongs; one that is not has a finding of its own."""
    return any(owner.key in homes for owner, _ in planned.after.by_unit.get(planned.now(unit) or unit, ()))


def _built_by_nothing(planned: Planned) -> Iterator[_Fault]:
    """Units that the plan makes and no library would build, where libraries could be read."""
    if not any(library.units for library in planned.after.libraries):
        return
    if any(planned.after.has_gap(library) for library in planned.after.libraries) or planned.found:
        return  # a library without sources, which was said
    for path, old in planned.origin.items():
        if old is None and path.endswith(UNIT_SUFFIXES) and path not in planned.after.by_unit:
            text = "would be written and built into nothing"
            yield _Fault("", text, path, planned.place(path), "Add it to the stable library.")


def _written(library: Library, unit: str) -> _Place:
    """Where a build file names `unit` for `library`, else where it defines the library."""
    for entry in library.entries:
        for source in entry.sources:
            if source.path == unit:
                return source.file, source.written
    return library.entries[0].file, library.entries[0].span
