"""The include lines of a migrated file: scheduled by the rules, written once.

Headers of torch that are closed to stable code are removed. What the new names need is put where the first of them was.
Quoted includes keep meaning the same file from the new place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from posixpath import dirname, relpath
from types import MappingProxyType
from typing import NamedTuple

from torch_stabilize.model import Confidence, Diagnostic, Edit, Severity
from torch_stabilize.rules.context import Site
from torch_stabilize.rules.include_block import IncludeBlock, IncludeLine, read_include_lines, without_double_gaps
from torch_stabilize.rules.needed_headers import names_from, not_covered, with_implied, words_of_users
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.sites import STABLE_ONLY, in_legacy_branch
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import UNIT_SUFFIXES, Document

NO_HEADER = page("TSA003", "This header of torch has no stable counterpart.", confidence=Confidence.MANUAL)
MOVED = page("TSA004", "Quoted includes are spelled for the new place of the file.")
HELPERS = page(
    "TSA007",
    "A header of helpers that the repository has gets what the migrated code needs.",
    "The stable headers have no device properties, no typed stream and no checks for status codes: small helpers stand in for\n"
    "them. They are added to the repository's own header where there is one, and to a new one where there is none.",
)

_USES_PYBIND = re.compile(rb"\b(?:py|pybind11)\s*::|\bPYBIND11_|\bnamespace\s+\w+\s*=\s*pybind11")

Respell = Callable[[str, bool], "str | None"]


class IncludeWish(NamedTuple):
    """What a file wants to include: system headers, and the repository's own as the file will spell them.

    Those of `own` that are also in `dual` serve the legacy build as well. `provided` are system headers that come in
    without being asked for. `asked_for` are headers that have to be included before a place of the file, where a
    condition asks for a macro of theirs.
    """

    system: frozenset[str]
    own: frozenset[str] = frozenset()
    dual: frozenset[str] = frozenset()
    provided: frozenset[str] = frozenset()
    asked_for: Mapping[str, int] = MappingProxyType({})


def write_includes(
    document: Document,
    sites: Sequence[Site],
    wish: IncludeWish,
    respell: Respell,
    uses: Callable[[str], bool],
    legacy_too: frozenset[str] | None = None,
) -> tuple[tuple[Edit, ...], tuple[Diagnostic, ...]]:
    """The edits of the include lines of `document`, whose includes of torch are `sites`.

    `respell(name, quoted)` gives the new text between the quotes for a header of the repository, None to leave the
    line, "" to drop it. `uses` says whether a word is in the code that can see the includes: a header that nobody
    has a use for is dropped without a diagnostic. With `legacy_too` the file has to compile in both builds: its includes of
    torch, and of the repository's headers by these names, stay for the legacy build, and the new ones are for the
    stable build alone.
    """
    lines = read_include_lines(document)
    legacy = {site.span: site for site in sites if not in_legacy_branch(document, site.span.start)}
    of_torch = {line: legacy[line.spelled] for line in lines if line.spelled in legacy}
    gone = [
        line
        for line in lines
        if (not _stays(line, of_torch[line], document) if line in of_torch else line.name in (legacy_too or ()))
    ]
    own_lines = [line for line in lines if line not in of_torch and line not in gone]
    kept_own, dropped, edits = _respelled(own_lines, respell)
    kept = [line for line in lines if line not in gone and line not in dropped]
    block = IncludeBlock(document, lines, gone, kept)
    own = sorted(wish.own - kept_own)
    present = {line.name for line in lines if _is_seen_everywhere(document, line)} - {line.name for line in gone}
    late = {name for name, place in wish.asked_for.items() if not _is_before(name, place, kept)}
    system = not_covered(wish.system | late, (present | wish.provided) - late)
    if legacy_too is None:
        edits += block.replaced(own, system)
    else:
        stable = [name for name in own if name not in wish.dual]
        edits += block.switched(stable, system, [name for name in own if name in wish.dual])
    torch_gone = [
        (line, of_torch[line]) for line in lines if line in of_torch and (line in gone or _is_shipped(of_torch[line]))
    ]
    closed = tuple(_closed(line, site, document) for line, site in torch_gone if _is_closed(line, site, uses))
    return tuple(without_double_gaps(document, edits)), closed


def _is_before(header: str, place: int, lines: Iterable[IncludeLine]) -> bool:
    """Whether one of `lines` includes `header` before `place`, or another header that brings it along."""
    return header in with_implied(line.name for line in lines if line.span.start < place)


def _stays(line: IncludeLine, site: Site, document: Document) -> bool:
    """Whether an include of torch is one of the stable API already, and of use."""
    if _is_shipped(site):
        return True
    return site.entry is not None and site.entry.form == "same" and not _is_idle(line.name, document)


def _is_shipped(site: Site) -> bool:
    """Whether a header is another library's, and in torch's include folder."""
    return site.entry is not None and site.entry.form == "none" and bool(site.entry.stable)


def _is_idle(name: str, document: Document) -> bool:
    """Whether a unit includes pybind11 and has no use for it, as one that registers nothing has not."""
    if not name.startswith("pybind11/") or not document.path.endswith(UNIT_SUFFIXES):
        return False
    return _USES_PYBIND.search(document.code) is None


def _is_closed(line: IncludeLine, site: Site, uses: Callable[[str], bool]) -> bool:
    """Whether a header has no stable counterpart, and the code has a use for it."""
    if _is_shipped(site):
        return True
    return site.entry is not None and site.entry.form == "none" and any(map(uses, words_of_users(line.name)))


def _closed(line: IncludeLine, site: Site, document: Document) -> Diagnostic:
    note = site.entry.note if site.entry is not None else ""
    message = f"<{line.name}> has no stable counterpart"
    if _is_shipped(site):
        message = f"<{line.name}> is of another library, and found in the include folder of torch"
    return Diagnostic(NO_HEADER, Severity.ERROR, document.path, site.span, message, note)


def _respelled(lines: Iterable[IncludeLine], respell: Respell) -> tuple[set[str], set[IncludeLine], list[Edit]]:
    """The names under which own headers are included in the end, the lines that go, and the edits for both."""
    kept: set[str] = set()
    dropped: set[IncludeLine] = set()
    edits: list[Edit] = []
    for line in lines:
        spelled = respell(line.name, line.quoted)
        if spelled is None:
            kept.add(line.name)
        elif spelled == "" or spelled in kept:
            dropped.add(line)
            edits.append(Edit(line.span, b"", MOVED))
        else:
            kept.add(spelled)
            edits.append(Edit(line.spelled, b'"' + spelled.encode() + b'"', MOVED))
    return kept, dropped, edits


def _is_seen_everywhere(document: Document, line: IncludeLine) -> bool:
    """Whether an include serves all stable code that needs its header, not only what is under its condition.

    Headers of CUDA and of torch that stand under a condition are left to it: an alternative is in its other arm.
    """
    conditions = tuple(condition for condition in line.conditions if not STABLE_ONLY.match(condition))
    if "." in line.name or not conditions:
        return True
    names = [re.escape(name.encode()) for name in names_from(line.name)]
    uses = re.finditer(rb"(?<![\w:])(?:" + b"|".join(names) + rb")(?!\w)", document.code) if names else ()
    shared = len(line.conditions)
    return all(conditions_at(document, use.start())[:shared] == line.conditions for use in uses)


def spell_relative(from_path: str, to_path: str) -> str:
    """How `from_path` includes `to_path`, relative to its own folder."""
    return relpath(to_path, dirname(from_path) or ".")
