"""What a plan does to the build: who builds each unit, and whether each build entry is still one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from codemod.buildfiles.cmake.logic import implies
from codemod.model import Diagnostic, Span
from codemod.repository.program import codes
from codemod.repository.program.abi import abi_of
from codemod.repository.program.codes import finding
from codemod.repository.program.model import Abi, BuildEntry, EntryKind, Library, Source, When
from codemod.repository.program.planned import Planned
from codemod.source.document import UNIT_SUFFIXES

_Place = tuple[str, Span]


def check_build(planned: Planned) -> Iterator[Diagnostic]:
    """Every unit that a library would lose or share, and every entry that would not be one."""
    yield from check_membership(planned)
    yield from check_entries(planned)


# -- membership ------------------------------------------------------------------------------------------------------


def check_membership(planned: Planned) -> Iterator[Diagnostic]:
    """One finding for each unit and library that it would leave, join or lose under a condition."""
    after = planned.after.by_unit
    for library in planned.before.libraries:
        allowed = planned.partners[library.key]
        for unit in sorted(library.units):
            now = planned.now(unit)
            if now is None or not planned.snapshot.exists(unit):
                continue  # removed, or generated
            owners = after.get(now, ())
            ours = [(owner, when) for owner, when in owners if owner.key in allowed]
            whens = [when for path, when in library.members if path == unit]
            if not ours:
                yield from _lost(planned, library, unit, owners)
            elif len({owner.key for owner, _ in ours}) > 1 and not _was_shared(planned, allowed, unit):
                yield from _shared(planned, library, unit, [owner for owner, _ in ours])
            else:
                yield from _conditions_lost(planned, library, unit, whens, [when for _, when in ours])
    yield from _joined(planned)


def _lost(
    planned: Planned, library: Library, unit: str, owners: Iterable[tuple[Library, When]]
) -> Iterator[Diagnostic]:
    now = planned.now(unit) or unit
    unknown = [
        one
        for one in planned.after.libraries
        if one.key in planned.partners[library.key] and planned.after.has_gap(one)
    ]
    names = sorted({owner.module or owner.name for owner, _ in owners})
    name = library.module or library.name
    where = f"into {' and '.join(names)}" if names else "into nothing"
    said = planned.said(unit) or planned.said(now)
    if said:
        return
    message = f"{unit} was built into {name} and would be built {where}"
    if unknown and not names:
        message = f"{unit} was built into {name}, and whether it would be cannot be read"
    yield finding(codes.MEMBERSHIP, _written(library, unit), message, f"Add {now} to {_counterpart(planned, library)}.")


def _shared(planned: Planned, library: Library, unit: str, owners: Iterable[Library]) -> Iterator[Diagnostic]:
    """A unit that would be in a library and in its counterpart: fine where it uses no torch, and so has one form."""
    now = planned.now(unit) or unit
    if planned.said(unit) or abi_of(planned.after, now) is Abi.NEUTRAL:
        return
    names = " and into ".join(sorted({owner.module or owner.name for owner in owners}))
    yield finding(
        codes.MEMBERSHIP, _written(library, unit), f"{unit} would be built into {names}", "Keep it in one of them."
    )


def _counterpart(planned: Planned, library: Library) -> str:
    """The name of the library that units of `library` go to."""
    others = planned.partners[library.key] - {library.key}
    found = [one for one in planned.after.libraries if one.key in others]
    return (found[0].module or found[0].name) if found else library.module or library.name


def _was_shared(planned: Planned, allowed: frozenset[tuple[str, str]], unit: str) -> bool:
    owners = {owner.key for owner, _ in planned.before.by_unit.get(unit, ())}
    return len(owners & allowed) > 1


def _conditions_lost(
    planned: Planned, library: Library, unit: str, before: list[When], after: list[When]
) -> Iterator[Diagnostic]:
    """A condition under which `unit` was built and would not be, where what is built is known to exclude it."""
    for when in before:
        if not any(_may_hold_with(when, other) for other in after) and not planned.said(unit):
            condition = " and ".join(when) or "in every build"
            name = library.module or library.name
            message = f"{unit} was built into {name} where {condition}, and would not be built there"
            yield finding(codes.MEMBERSHIP, _written(library, unit), message, "Build it under that condition too.")
            return


def _may_hold_with(when: When, other: When) -> bool:
    return not are_exclusive(when, other)


def are_exclusive(first: When, second: When) -> bool:
    """Whether two lists of conditions are known never to hold together."""
    if any(_negates(one, other) or _negates(other, one) for one in first for other in second):
        return True
    if not first or not second or not all(map(_is_cmake, (*first, *second))):
        return False
    return any(implies(first, [f"NOT ( {condition} )"], {}) for condition in second)


def _is_cmake(condition: str) -> bool:
    return "(" not in condition or condition.startswith("NOT (") or " " in condition


def _negates(one: str, other: str) -> bool:
    return one in (f"not ({other})", f"NOT ( {other} )")


def _joined(planned: Planned) -> Iterator[Diagnostic]:
    """Units that were in some library and would be in another one as well that is none of theirs."""
    homes: dict[str, set[tuple[str, str]]] = {}
    for library in planned.before.libraries:
        for unit in library.units:
            homes.setdefault(unit, set()).update(planned.partners[library.key])
    for library in planned.after.libraries:
        known = {key for one in planned.before.libraries for key in planned.partners[one.key]}
        for unit in sorted(library.units):
            old = planned.then(unit)
            if old is None or old not in homes or library.key in homes[old]:
                continue
            name = library.module or library.name
            if planned.said(old) or library.key not in known or not _is_kept(planned, old, homes[old]):
                continue
            message = f"{old} would be built into {name}, which it is no part of"
            yield finding(codes.MEMBERSHIP, _entry_place(planned, library.entries[0]), message, "Take it out of there.")


def _is_kept(planned: Planned, unit: str, homes: set[tuple[str, str]]) -> bool:
    """Whether a unit is still built where it belongs; one that is not has a finding of its own."""
    return any(owner.key in homes for owner, _ in planned.after.by_unit.get(planned.now(unit) or unit, ()))


def _written(library: Library, unit: str) -> _Place:
    """Where a build file names `unit` for `library`, else where it defines the library."""
    for entry in library.entries:
        for source in entry.sources:
            if source.path == unit:
                return source.file, source.written
    return library.entries[0].file, library.entries[0].span


# -- entries ---------------------------------------------------------------------------------------------------------


def check_entries(planned: Planned) -> Iterator[Diagnostic]:
    """Entries that are empty, of one name, or with sources that are listed twice or are not there."""
    before, after = planned.before, planned.after
    had = {_key(entry): entry for entry in before.entries}
    for entry in after.entries:
        old = had.get(_key(entry))
        is_empty = not entry.sources and not entry.gaps and entry.kind is not EntryKind.PROGRAM
        if is_empty and _had_sources(old) and not planned.said(entry.module or entry.name, "source"):
            yield finding(
                codes.ENTRIES, _entry_place(planned, entry), f"{_shown(entry)} would have no source left",
                "Take it out of the build, with what imports it.",
            )  # fmt: skip
        yield from _bad_sources(planned, entry, old)
    yield from _doubled(planned)


def _had_sources(old: BuildEntry | None) -> bool:
    return old is None or bool(old.sources)


def _bad_sources(planned: Planned, entry: BuildEntry, old: BuildEntry | None) -> Iterator[Diagnostic]:
    known = {source.path for source in old.sources} if old is not None else set()
    for source in entry.sources:
        if planned.after.snapshot.exists(source.path) or not source.path.endswith(UNIT_SUFFIXES):
            continue
        if source.path in known and not planned.snapshot.exists(source.path):
            continue  # written by a script, before as afterwards
        message = f"{_shown(entry)} names {source.path}, which would not be there"
        if not planned.said(source.path):
            yield finding(codes.ENTRIES, _entry_place(planned, entry), message, "Name the file at its new place.")
    for path in _twice(entry.sources):
        if not any(planned.then(path) in _twice(one.sources) for one in planned.before.entries):
            message = f"{_shown(entry)} would name {path} twice"
            yield finding(codes.ENTRIES, _entry_place(planned, entry), message, "Name it once.")


def _twice(sources: Iterable[Source]) -> list[str]:
    by_path: dict[str, list[Source]] = {}
    for source in sources:
        by_path.setdefault(source.path, []).append(source)
    return sorted(
        path
        for path, found in by_path.items()
        if any(not are_exclusive(a.when, b.when) for at, a in enumerate(found) for b in found[at + 1 :])
    )


def _doubled(planned: Planned) -> Iterator[Diagnostic]:
    old = _doubled_names(planned.before.entries)
    for name, entry in _doubled_names(planned.after.entries).items():
        if name not in old:
            message = f"{entry.file} would build two libraries called {entry.module or entry.name}"
            yield finding(codes.ENTRIES, _entry_place(planned, entry), message, "Give each a name of its own.")


def _doubled_names(entries: Iterable[BuildEntry]) -> Mapping[tuple[str, ...], BuildEntry]:
    """Entries of one system and name that one build makes both of."""
    groups: dict[tuple[str, ...], list[BuildEntry]] = {}
    for entry in entries:
        if entry.name:
            groups.setdefault((entry.system, entry.file, entry.module or entry.name), []).append(entry)
    return {
        name: found[1]
        for name, found in groups.items()
        if any(not are_exclusive(a.when, b.when) for at, a in enumerate(found) for b in found[at + 1 :])
    }


def _key(entry: BuildEntry) -> tuple[str, ...]:
    return (entry.system, entry.file, entry.module or entry.name, *entry.when)


def _shown(entry: BuildEntry) -> str:
    return entry.module or entry.name or "an extension without a known name"


def _entry_place(planned: Planned, entry: BuildEntry) -> _Place:
    """Where the entry stands in the tree as it was: one of its name, else the beginning of its file."""
    named = [old for old in planned.before.entries if old.file == entry.file]
    same = next((old for old in named if (old.module or old.name) == (entry.module or entry.name)), None)
    origin = same or next((old for old in named if _is_origin(planned, old, entry)), None)
    if origin is not None:
        return origin.file, origin.span
    return (entry.file, Span(0, 0)) if planned.snapshot.exists(entry.file) else planned.place(entry.file)


def _is_origin(planned: Planned, old: BuildEntry, entry: BuildEntry) -> bool:
    counted = Counter(planned.then(source.path) for source in entry.sources)
    return any(source.path in counted for source in old.sources)
