"""Whether each build entry would still be one: with sources that are there, each once, under a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from posixpath import dirname

from torch_stabilize.buildfiles.model import BuildEntry, EntryKind, Source
from torch_stabilize.model import Diagnostic, Span
from torch_stabilize.program import codes
from torch_stabilize.program.codes import finding
from torch_stabilize.program.conditions import are_exclusive
from torch_stabilize.program.planned import Planned
from torch_stabilize.source.document import UNIT_SUFFIXES

_Place = tuple[str, Span]


def check_entries(planned: Planned) -> Iterator[Diagnostic]:
    """Entries that are empty, of one name, or with sources that are listed twice or are not there."""
    before, after = planned.before, planned.after
    had = {_key(entry): entry for entry in before.entries}
    for entry in after.entries:
        old = had.get(_key(entry))
        is_empty = not entry.sources and not entry.gaps and entry.kind is not EntryKind.PROGRAM
        if is_empty and _had_sources(old) and not planned.said(entry.module or entry.name, "source"):
            yield finding(
                codes.ENTRIES, entry_place(planned, entry), f"{_shown(entry)} would have no source left",
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
        if any(dirname(path) == dirname(source.path) and not planned.snapshot.exists(path) for path in known):
            continue  # a folder that is not in the tree: of a submodule, or written by a script
        message = f"{_shown(entry)} names {source.path}, which would not be there"
        if not planned.said(source.path):
            yield finding(codes.ENTRIES, entry_place(planned, entry), message, "Name the file at its new place.")
    for path in _twice(entry.sources):
        was_twice = any(planned.then(path) in _twice(one.sources) for one in planned.before.entries)
        if not was_twice and not planned.said(path):
            message = f"{_shown(entry)} would name {path} twice"
            yield finding(codes.ENTRIES, entry_place(planned, entry), message, "Name it once.")


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
        if name not in old and not planned.said(entry.module or entry.name):
            message = f"{entry.file} would build two libraries called {entry.module or entry.name}"
            yield finding(codes.ENTRIES, entry_place(planned, entry), message, "Give each a name of its own.")


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


def entry_place(planned: Planned, entry: BuildEntry) -> _Place:
    """Where the entry is in the tree as it was: one of its name, else the beginning of its file."""
    named = [old for old in planned.before.entries if old.file == entry.file]
    same = next((old for old in named if (old.module or old.name) == (entry.module or entry.name)), None)
    origin = same or next((old for old in named if _is_origin(planned, old, entry)), None)
    if origin is not None:
        return origin.file, origin.span
    return (entry.file, Span(0, 0)) if planned.snapshot.exists(entry.file) else planned.place(entry.file)


def _is_origin(planned: Planned, old: BuildEntry, entry: BuildEntry) -> bool:
    counted = Counter(planned.then(source.path) for source in entry.sources)
    return any(source.path in counted for source in old.sources)
