"""The legacy declarations of what the bindings register: where they stand, who uses them, and how they go."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Set
from typing import NamedTuple

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.reading.text import comments_above, decode
from torch_stabilize.bindings.select import Located, Selection, diagnostic
from torch_stabilize.bindings.writing.legacy_calls import Bridge, bridge, bridge_edits
from torch_stabilize.bindings.writing.removal import removal_edits
from torch_stabilize.layout.decide import is_elsewhere
from torch_stabilize.layout.read import libraries_of
from torch_stabilize.model import Diagnostic, FileEdit, Span
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.document import HEADER_SUFFIXES, Document, word_places
from torch_stabilize.source.patterns import word_start
from torch_stabilize.source.signatures import Function, functions_by_name, read_signatures
from torch_stabilize.source.spans import line_end, line_start

_INCLUDED = re.compile(rb'#\s*include\s*["<](?:[^">]*/)?([^"/>]+)[">]')


class Declaration(NamedTuple):
    """A declaration of a moved function in a legacy file, with its comments, as whole lines."""

    path: str
    function: Function
    lines: Span
    comments: tuple[str, ...]
    text: str


def find_declarations(registry: Registry, located: Iterable[Located], group: Group) -> dict[str, list[Declaration]]:
    """The legacy declarations of each function, by qualified name, in the order of the layout's headers.

    What a unit of the group declares for itself stays there and is none.
    """
    layout = registry.layout
    paths = [*layout.legacy_declarations, *(p for p in layout.legacy_bindings if p not in layout.other_builds)]
    functions = {found.function.qualified: found.function for found in located}
    names = {function.name.encode() for function in functions.values()}
    result: dict[str, list[Declaration]] = {}
    for path in dict.fromkeys(paths):
        if not registry.snapshot.exists(path) or path in group.units or is_elsewhere(registry.snapshot, layout, path):
            continue
        document = registry.document(path)
        for declared in () if names.isdisjoint(document.words) else read_signatures(document):
            if not declared.is_definition and declared.qualified in functions:
                result.setdefault(declared.qualified, []).append(_declaration(document, declared))
    return result


def _declaration(document: Document, function: Function) -> Declaration:
    start = line_start(document.data, function.span.start)
    end = line_end(document.data, function.span.end - 1)
    comments = comments_above(document, start, 0)
    texts = tuple(line.strip() for line in decode(document.text(comments)).splitlines() if line.strip())
    if _is_file_header(document, comments):
        comments, texts = Span(start, start), ()
    text = decode(document.data[function.span.start : end]).rstrip()
    return Declaration(document.path, function, Span(comments.start, end), texts, text)


def _is_file_header(document: Document, comments: Span) -> bool:
    return len(comments) > 0 and not document.uncommented[: comments.start].strip()


def legacy_edits(
    registry: Registry, group: Group, selection: Selection, declarations: dict[str, list[Declaration]]
) -> tuple[list[FileEdit], list[Diagnostic]]:
    """Take out the declarations that nothing legacy uses any more; what still calls a function calls its operator."""
    edits: list[FileEdit] = []
    diagnostics: list[Diagnostic] = []
    going: dict[str, list[Span]] = {}
    moved = Covered((moved.statement.path, moved.statement.span) for moved in selection.moved)
    homes: dict[str, set[str]] = {}
    for one in (one for moving in selection.moved for one in moving.functions):
        homes.setdefault(one.function.qualified, set()).add(one.path)
    places = _legacy_places(registry, group, {one.path for found in declarations.values() for one in found})
    bridges: list[Bridge] = []
    for name, found in declarations.items():
        users = legacy_users(registry, places, found[0].function, moved)
        home = libraries_of(registry.snapshot, sorted(homes.get(name, ())))  # that its definitions are built into
        linking = [
            (path, offset)
            for path, offset, links in users
            if links and not _is_of_another(registry, path, home)  # which has one of its own
        ]
        made = bridge(registry, selection, [one.function for one in found], linking) if linking else None
        bridges += [made] if made is not None else []
        for path, offset in linking:
            if made is None:
                diagnostics.append(
                    diagnostic(
                        codes.STILL_CALLED, path, Span(offset, offset + len(found[0].function.name)),
                        f"{name} is used here, and its definition moves to the stable library",
                        advice="add this unit to the group, or keep a legacy definition",
                        subject=found[0].function.name,
                    )
                )  # fmt: skip
        if not users:
            for declaration in found:
                if declaration.path in registry.neutral_declarations:
                    continue
                going.setdefault(declaration.path, []).append(declaration.lines)
    for path, spans in going.items():
        edits += [FileEdit(path, edit) for edit in removal_edits(registry.document(path), spans, codes.DECLARED.code)]
    edits += bridge_edits(registry, bridges)
    return edits, [*diagnostics, *(one.diagnostic for one in bridges)]


def _is_of_another(registry: Registry, path: str, home: frozenset[tuple[str, str]]) -> bool:
    """Whether a unit is known to be built into other libraries than `home` alone."""
    theirs = libraries_of(registry.snapshot, (path,))
    return bool(home and theirs) and home.isdisjoint(theirs)


class Covered:
    """Stretches of files, and whether a place is within one of them."""

    def __init__(self, stretches: Iterable[tuple[str, Span]]) -> None:
        self._starts: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}  # the furthest of those that begin so early
        for path, span in sorted(stretches):
            ends = self._ends.setdefault(path, [])
            self._starts.setdefault(path, []).append(span.start)
            ends.append(max(span.end, ends[-1] if ends else 0))

    def covers(self, path: str, span: Span) -> bool:
        """Whether `span` of the file is within a stretch."""
        behind = bisect_right(self._starts.get(path, ()), span.start)
        return behind > 0 and self._ends[path][behind - 1] >= span.end


class _LegacyPlaces(NamedTuple):
    """The legacy files, none of the group, that may see what `headers` declare, or declare it themselves."""

    paths: tuple[str, ...]
    headers: frozenset[bytes]  # without folders


def _legacy_places(registry: Registry, group: Group, declaring: Set[str]) -> _LegacyPlaces:
    own = {*group.units, *group.moving_headers, *registry.layout.legacy_declarations}
    headers = frozenset(path.rpartition("/")[2].encode() for path in own if path.endswith(HEADER_SUFFIXES))
    legacy = (path for path in registry.sources if path not in own and not registry.layout.is_stable(path))
    seeing = (
        path
        for path in legacy
        if path.endswith(HEADER_SUFFIXES)
        or path in declaring
        or any(h in registry.snapshot.read(path) for h in headers)
    )
    return _LegacyPlaces(tuple(seeing), headers)


def legacy_users(
    registry: Registry, places: _LegacyPlaces, function: Function, moved: Covered
) -> list[tuple[str, int, bool]]:
    """Places in legacy files that still use `function`: path, offset, and whether they need its moved definition."""
    name = function.name.encode()
    pattern = re.compile(word_start(name, rb"\w.") + rb"(?<!->%b)\b(?!\s*::)" % name)
    found: list[tuple[str, int, bool]] = []
    for path in places.paths:
        data = registry.snapshot.read(path)
        if name not in data:
            continue
        document = registry.document(path)
        found_at = (m for place in word_places(document).get(name, ()) if (m := pattern.match(document.code, place)))
        used = [Span(*m.span()) for m in found_at if _is_use(document.code, *m.span(), function)]
        if not used:
            continue
        heads = functions_by_name(document).get(function.name, ())
        if not _sees(document, places.headers) and not any(f.answers_to(function.qualified) for f in heads):
            continue
        defines = any(f.is_definition and f.answers_to(function.qualified) for f in heads)
        links = not defines and not _other_build_unit(registry, path)
        found += [
            (path, span.start, links)
            for span in used
            if not moved.covers(path, span) and not any(function.head.contains(span) for function in heads)
        ]
    return found


def _is_use(code: bytes, start: int, end: int, function: Function) -> bool:
    """A call or an address of the function, not of another that is only called the same."""
    before = re.search(rb"((?:\w+\s*::\s*)*)$", code[max(0, start - 80) : start])
    qualifier = b"".join((before.group(1) if before else b"").split()).decode().rstrip(":")
    scope = "::".join(filter(None, function.namespace))
    if qualifier and qualifier != scope and not scope.endswith(f"::{qualifier}"):
        return False
    if re.match(rb"\s*(?:<[^<>;]*>)?\s*\(", code[end : end + 200]):
        # a definition of a local of that type or a member of the same name is none
        return not re.search(rb"(?:\bauto|[\w>&*])\s+$", code[max(0, start - 40) : start]) or bool(
            re.search(rb"\b(?:return|else|do|co_return)\s+$", code[max(0, start - 40) : start])
        )
    return bool(re.search(rb"&\s*(?:\w+\s*::\s*)*$", code[max(0, start - 80) : start]))


def _sees(document: Document, headers: frozenset[bytes]) -> bool:
    """Whether a file includes one of `headers`, which declare the function."""
    included = {m.group(1) for m in _INCLUDED.finditer(document.uncommented)}
    return bool(included & headers) or document.path.endswith(HEADER_SUFFIXES)


def _other_build_unit(registry: Registry, path: str) -> bool:
    """Whether `path` belongs to an alternative build: it lies next to the bindings of one."""
    if path in registry.layout.other_builds:
        return True
    folders = [bindings.rpartition("/")[0] for bindings in registry.layout.other_builds]
    return any(folder and path.startswith(folder + "/") for folder in folders)
