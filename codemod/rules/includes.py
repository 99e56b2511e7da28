"""The include lines of a migrated file: scheduled by the rules, written once.

Headers of torch that are closed to stable code go. What the new names need stands where the first of them stood.
Quoted includes keep meaning the same file from the new place.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from posixpath import dirname, relpath

from codemod import toml
from codemod.model import Confidence, Diagnostic, Edit, Severity, Span
from codemod.rules.context import Site
from codemod.rules.registry import page
from codemod.rules.sites import in_legacy_branch
from codemod.source.conditions import conditions_at
from codemod.source.document import UNIT_SUFFIXES, Document

REPLACED = page(
    "TSA001",
    "Includes of torch give way to the headers that the new names need.",
    "Headers that used to come in through torch's umbrella headers are included where their names are used.",
)
NO_HEADER = page("TSA003", "This header of torch has no stable counterpart.", confidence=Confidence.MANUAL)
MOVED = page("TSA004", "Quoted includes are spelled for the new place of the file.")
HELPERS = page(
    "TSA007",
    "A header of helpers that the repository has gets what the migrated code needs.",
    "The stable headers have no device properties, no typed stream and no checks for status codes: small helpers stand in for\n"
    "them. They are added to the repository's own header where there is one, and to a new one where there is none.",
)

_LINE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*(?P<path>[<\"][^>\"\n]+[>\"])[^\n]*\n?", re.MULTILINE)
_WORD_OR_INCLUDE = re.compile(rb"#[ \t]*include[ \t]*[<\"][^\n]*|std::\w+|[A-Za-z_]\w*")


@functools.cache
def _knowledge() -> tuple[Mapping[str, str], Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
    table = toml.loads(Path(__file__).with_name("transitive.toml").read_text(encoding="utf-8"))
    return table["names"], table["implied"], table["closed"]


@dataclass(frozen=True)
class IncludeWish:
    """What a file wants to include: system headers by name, own headers by repository path.

    Those of `own` that are also in `dual` serve the legacy build as well.
    """

    system: frozenset[str]
    own: frozenset[str] = frozenset()
    dual: frozenset[str] = frozenset()


def with_implied(headers: Iterable[str]) -> frozenset[str]:
    """`headers` and all they bring along."""
    implied = _knowledge()[1]
    seen: set[str] = set()
    left = list(headers)
    while left:
        header = left.pop()
        if header not in seen:
            seen.add(header)
            left += implied.get(header, ())
    return frozenset(seen)


def needed_by_names(code: bytes) -> frozenset[str]:
    """Headers of names in `code` that used to come in through torch's."""
    words = set(_WORD_OR_INCLUDE.findall(code))
    return frozenset(header for name, header in _knowledge()[0].items() if name.encode() in words)


def write_includes(
    document: Document,
    sites: Sequence[Site],
    wish: IncludeWish,
    spell: Callable[[str], str],
    respell: Callable[[str, str, bool], str | None],
    provided: frozenset[str] = frozenset(),
    both_worlds: bool = False,
    legacy_only: frozenset[str] = frozenset(),
    uses: Callable[[str], bool] = lambda word: True,
) -> tuple[tuple[Edit, ...], tuple[Diagnostic, ...]]:
    """The edits of the include block of `document`.

    `sites` are its includes of torch. `spell(path)` is how it includes one of the repository's own headers that it did
    not include before; `respell(name, path, quoted)` gives the new text between the quotes for one that it did, None to
    leave the line, "" to drop it. `provided` are headers that the own headers of the
    wish already include. With `both_worlds` the includes of torch stay for the legacy build, like those of the
    repository's headers called `legacy_only`, and the new ones are for the stable build alone. `uses` says whether a
    word stands in the code that can see the includes: a header that nobody has a use for goes without a word.
    """
    lines = list(_LINE.finditer(document.uncommented))
    legacy = {site.span: site for site in sites if not in_legacy_branch(document, site.span.start)}
    of_torch = {line: site for line in lines if (site := legacy.get(Span(*line.span("path")))) is not None}
    gone = [
        line
        for line in lines
        if (
            not _stays(line, of_torch[line], document)
            if line in of_torch
            else both_worlds and _name(line) in legacy_only
        )
    ]
    own_lines = [line for line in lines if line not in of_torch and line not in gone]
    kept_own, dropped, edits = _respelled(document, own_lines, respell)
    new_own = [name for name in sorted(spell(path) for path in wish.own) if name not in kept_own]
    present = {name for line in lines if (name := _seen_everywhere(document, line))} - {_name(line) for line in gone}
    new_system = _needed(set(wish.system), present, provided)
    if both_worlds:
        dual = [name for name in (spell(path) for path in sorted(wish.dual)) if name in new_own]
        stable = [name for name in new_own if name not in dual]
        edits += _place_beside(document, gone, lines, stable, new_system, dual)
    else:
        stays = [line for line in lines if line not in gone and line not in dropped]
        edits += _place(document, gone, lines, stays, new_own, new_system)
    torch_gone = [(line, of_torch[line]) for line in gone if line in of_torch]
    closed = tuple(_closed(line, site, document) for line, site in torch_gone if _is_closed(line, site, uses))
    return tuple(_without_double_gaps(document, edits)), closed


def _name(line: re.Match[bytes]) -> str:
    """The header of an include line."""
    return line.group("path")[1:-1].decode("utf-8", "replace")


def _stays(line: re.Match[bytes], site: Site, document: Document) -> bool:
    """Whether an include of torch is one of the stable API already, and of use."""
    return site.entry is not None and site.entry.form == "same" and not _is_idle(_name(line), document)


def _is_closed(line: re.Match[bytes], site: Site, uses: Callable[[str], bool]) -> bool:
    """Whether a header has no stable counterpart, and the code has a use for it."""
    return site.entry is not None and site.entry.form == "none" and any(map(uses, _offered(_name(line))))


def _closed(line: re.Match[bytes], site: Site, document: Document) -> Diagnostic:
    note = site.entry.note if site.entry is not None else ""
    message = f"<{_name(line)}> has no stable counterpart"
    return Diagnostic(NO_HEADER, Severity.ERROR, document.path, site.span, message, note)


def _respelled(
    document: Document, lines: Iterable[re.Match[bytes]], respell: Callable[[str, str, bool], str | None]
) -> tuple[set[str], set[re.Match[bytes]], list[Edit]]:
    """The names under which own headers are included in the end, the lines that go, and the edits for both."""
    kept: set[str] = set()
    dropped: set[re.Match[bytes]] = set()
    edits: list[Edit] = []
    for line in lines:
        spelled = respell(_name(line), document.path, line.group("path").startswith(b'"'))
        if spelled is None:
            kept.add(_name(line))
        elif spelled == "" or spelled in kept:
            dropped.add(line)
            edits.append(Edit(_whole_line(document, line), b"", MOVED))
        else:
            kept.add(spelled)
            edits.append(Edit(Span(*line.span("path")), b'"' + spelled.encode() + b'"', MOVED))
    return kept, dropped, edits


def _seen_everywhere(document: Document, line: re.Match[bytes]) -> str:
    """The header of an include line, "" for one of the standard library that other code than its own condition's needs.

    Headers of CUDA and of torch that stand under a condition are left to it: an alternative stands in its other arm.
    """
    name = _name(line)
    conditions = conditions_at(document, line.start())
    if "." in name or not conditions:
        return name
    names = [re.escape(key.encode()) for key, header in _knowledge()[0].items() if header == name]
    uses = re.finditer(rb"(?<![\w:])(?:" + b"|".join(names) + rb")(?!\w)", document.code) if names else ()
    inside = all(conditions_at(document, use.start())[: len(conditions)] == conditions for use in uses)
    return name if inside else ""


def _offered(name: str) -> Sequence[str]:
    """Words of which one stands wherever a header without a stable counterpart is used; "" where nobody knows them."""
    rows = ((len(pattern), words) for pattern, words in _knowledge()[2].items() if fnmatchcase(name, pattern))
    return max(rows, default=(0, ("",)))[1]


def _is_idle(name: str, document: Document) -> bool:
    """Whether a unit includes pybind11 and has no use for it, as one that registers nothing has not."""
    if not name.startswith("pybind11/") or not document.path.endswith(UNIT_SUFFIXES):
        return False
    return re.search(rb"\b(?:py|pybind11)\s*::|\bPYBIND11_|\bnamespace\s+\w+\s*=\s*pybind11", document.code) is None


def spell_relative(from_path: str, to_path: str) -> str:
    """How `from_path` includes `to_path`, relative to its own folder."""
    return relpath(to_path, dirname(from_path) or ".")


def _needed(wanted: set[str], present: set[str], provided: frozenset[str]) -> list[str]:
    """What of `wanted` has to be written: not what another header of the file brings along."""
    covered = with_implied(provided | present)
    left = sorted(header for header in wanted if header not in covered)
    kept = [h for h in left if not any(h in with_implied([other]) for other in left if other != h)]
    return sorted(kept, key=lambda h: (not h.startswith("torch/"), h))


def _whole_line(document: Document, line: re.Match[bytes]) -> Span:
    end = document.data.find(b"\n", line.start())
    return Span(line.start(), len(document.data) if end < 0 else end + 1)


def _place(
    document: Document,
    gone: Sequence[re.Match[bytes]],
    lines: Sequence[re.Match[bytes]],
    stays: Sequence[re.Match[bytes]],
    own: Sequence[str],
    system: Sequence[str],
) -> list[Edit]:
    """`system` where the first include of torch stood, `own` with the file's other headers of the repository."""
    ending = b"\r\n" if b"\r\n" in document.data[:4096] else b"\n"
    own_text = b"".join(b'#include "' + n.encode() + b'"' + ending for n in own)
    text = b"".join(b"#include <" + n.encode() + b">" + ending for n in system)
    edits: list[Edit] = []
    anchor = next((line for line in gone if not conditions_at(document, line.start())), None)
    place = _whole_line(document, anchor) if anchor is not None else _insertion_place(document, lines)
    beside, apart = _place_of_own(document, lines, stays, place)
    opens = anchor is None and any(line.start() == place.start and line.group("path")[:1] == b'"' for line in stays)
    if text and (opens or (own_text and apart and beside == place.end)):
        text += ending
    if beside == place.start and anchor is not None:
        text, own_text = own_text + text, b""
    elif beside in (place.start, place.end):
        text, own_text = text + own_text, b""
    elif own_text and apart:
        own_text = ending + own_text
    blocks = empty_conditionals(document, gone)
    for line in gone:
        span = _whole_line(document, line)
        if any(block.contains(span) for block in blocks):
            continue
        edits.append(Edit(span, text if line is anchor else b"", REPLACED))
    edits += [Edit(block, b"", REPLACED) for block in blocks]
    if anchor is None and text:
        edits.append(Edit(place, text, REPLACED))
    if own_text:
        edits.append(Edit(Span(beside, beside), own_text, REPLACED))
    return edits


def _place_of_own(
    document: Document, lines: Sequence[re.Match[bytes]], stays: Sequence[re.Match[bytes]], place: Span
) -> tuple[int, bool]:
    """Where a header of the repository is included, and whether apart from what stands there.

    With the file's first own ones, or behind those of the system that follow on `place`.
    """
    code = document.code
    head = [m for m in lines if not conditions_at(document, m.start()) and not re.search(rb"[{;]", code[: m.start()])]
    own = [line for line in head if line in stays and line.group("path").startswith(b'"')]
    if own and own[0].start() > place.start:
        return own[0].start(), False  # which may lean on what came before it
    if own:
        run = [_whole_line(document, line) for line in own]
        return next((a.end for a, b in pairwise(run) if a.end != b.start), run[-1].end), False
    end = reached = place.end
    for line in head:
        if line.start() >= reached and not code[reached : line.start()].strip():
            reached = _whole_line(document, line).end
            end = reached if line in stays else end
    return end, True


def _without_double_gaps(document: Document, edits: Sequence[Edit]) -> list[Edit]:
    """Lines that go between two empty ones take one of the two along."""
    data = document.data
    settled: list[Edit] = []
    start = 0  # of the run of removals that the edit belongs to
    for edit in sorted(edits, key=lambda e: e.span):
        joins = bool(settled) and settled[-1].span.end == edit.span.start and not settled[-1].replacement
        start = start if joins else edit.span.start
        gap = re.compile(rb"[ \t]*\r?\n").match(data, edit.span.end)
        opens = start == 0 or data[:start].endswith((b"\n\n", b"\n\r\n"))
        taken = any(other.span.start == edit.span.end for other in edits)
        if edit.replacement or edit.span.start == edit.span.end or gap is None or not opens or taken:
            settled.append(edit)
        else:
            settled.append(Edit(Span(edit.span.start, gap.end()), b"", edit.rule))
    return settled


def _place_beside(
    document: Document,
    gone: Sequence[re.Match[bytes]],
    lines: Sequence[re.Match[bytes]],
    own: Sequence[str],
    system: Sequence[str],
    dual: Sequence[str],
) -> list[Edit]:
    """The include lines for a header of both worlds: the legacy ones stay in the `#else` branch, `dual` has none."""
    common = b"".join(b'#include "' + n.encode() + b'"\n' for n in dual)
    new = b"".join(b'  #include "' + n.encode() + b'"\n' for n in own)
    new += b"".join(b"  #include <" + n.encode() + b">\n" for n in system)
    runs: list[list[Span]] = []
    for span in (_whole_line(document, line) for line in gone):
        if runs and not document.data[runs[-1][-1].end : span.start].strip():
            runs[-1].append(span)
        else:
            runs.append([span])
    if not runs:
        place = _insertion_place(document, lines)
        block = b"#ifdef TORCH_TARGET_VERSION\n" + new + b"#endif\n" if new else b""
        return [Edit(place, common + block, REPLACED)] if common + block else []
    edits = []
    for number, run in enumerate(runs):
        whole = Span(run[0].start, run[-1].end)
        old = b"".join(b"  " + document.text(span).lstrip() for span in run)
        if number == 0 and new:
            text = b"#ifdef TORCH_TARGET_VERSION\n" + new + b"#else\n" + old + b"#endif\n"
        else:
            text = b"#ifndef TORCH_TARGET_VERSION\n" + old + b"#endif\n"
        edits.append(Edit(whole, text + (b"\n" + common if number == 0 and common else b""), REPLACED))
    return edits


def empty_conditionals(document: Document, gone: Sequence[re.Match[bytes]]) -> list[Span]:
    """`#if ... #endif` blocks that hold nothing but lines that go."""
    from codemod.source.conditions import read_conditionals

    spans = [_whole_line(document, line) for line in gone]
    found: list[Span] = []
    for block in read_conditionals(document):
        if block.is_guard or not any(block.span.contains(span) for span in spans):
            continue
        rest = b"".join(document.code[b.body.start : b.body.end] for b in block.branches)
        for span in spans:
            if block.span.contains(span):
                rest = rest.replace(document.code[span.start : span.end], b"", 1)
        if not rest.strip():
            found.append(block.span)
    return [f for f in found if not any(o != f and o.contains(f) for o in found)]


def _insertion_place(document: Document, lines: Sequence[re.Match[bytes]]) -> Span:
    """Before the first unconditional include, or behind `#pragma once` and the leading comment."""
    for line in lines:
        if not conditions_at(document, line.start()):
            return Span(line.start(), line.start())
    pragma = re.search(rb"^[ \t]*#[ \t]*pragma[ \t]+once[^\n]*\n", document.code, re.MULTILINE)
    if pragma:
        return Span(pragma.end(), pragma.end())
    first = re.search(rb"\S", document.code)
    start = document.data.rfind(b"\n", 0, first.start()) + 1 if first else 0
    return Span(start, start)
