"""The include lines of a file, and where the lines stand that are written for those that go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch_stabilize.model import Edit, Span
from torch_stabilize.rules.registry import page
from torch_stabilize.source.conditions import conditions_at, read_conditionals
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_end, line_start

REPLACED = page(
    "TSA001",
    "Includes of torch give way to the headers that the new names need.",
    "Headers that used to come in through torch's umbrella headers are included where their names are used.",
)

_LINE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*(?P<path>[<\"][^>\"\n]+[>\"])", re.MULTILINE)
_PRAGMA_ONCE = re.compile(rb"^[ \t]*#[ \t]*pragma[ \t]+once[^\n]*\n", re.MULTILINE)
_EMPTY_LINE = re.compile(rb"[ \t]*\r?\n")


@dataclass(frozen=True)
class IncludeLine:
    """One `#include`: the header's name, where it is with its quotes or brackets, and the line with its end."""

    name: str
    quoted: bool
    spelled: Span
    span: Span
    conditions: tuple[str, ...]


def read_include_lines(document: Document) -> tuple[IncludeLine, ...]:
    """Every include line of `document`, in file order."""
    return tuple(_line(document, match) for match in _LINE.finditer(document.uncommented))


def _line(document: Document, match: re.Match[bytes]) -> IncludeLine:
    path = match.group("path")
    return IncludeLine(
        path[1:-1].decode("utf-8", "replace"),
        path.startswith(b'"'),
        Span(*match.span("path")),
        Span(match.start(), line_end(document.data, match.start())),
        conditions_at(document, match.start()),
    )


@dataclass(frozen=True)
class IncludeBlock:
    """The include lines of `document`: all of them, those that give way to new ones, and those that stay.

    One that is neither is taken out by somebody else.
    """

    document: Document
    lines: Sequence[IncludeLine]
    gone: Sequence[IncludeLine]
    stays: Sequence[IncludeLine]

    def replaced(self, own: Sequence[str], system: Sequence[str]) -> list[Edit]:
        """`system` where the first removed include was, `own` with the file's other headers of the repository."""
        ending = b"\r\n" if b"\r\n" in self.document.data[:4096] else b"\n"
        own_text = b"".join(b'#include "' + n.encode() + b'"' + ending for n in own)
        text = b"".join(b"#include <" + n.encode() + b">" + ending for n in system)
        edits: list[Edit] = []
        anchor = next((line for line in self.gone if not line.conditions), None)
        place = anchor.span if anchor is not None else self._insertion_place()
        beside, apart = self._place_of_own(place)
        opens = anchor is None and any(line.span.start == place.start and line.quoted for line in self.stays)
        if text and (opens or (own_text and apart and beside == place.end)):
            text += ending
        if beside == place.start and anchor is not None:
            text, own_text = own_text + text, b""
        elif beside in (place.start, place.end):
            text, own_text = text + own_text, b""
        elif own_text and apart:
            own_text = ending + own_text
        blocks = self._emptied_conditionals()
        for line in self.gone:
            if not any(block.contains(line.span) for block in blocks):
                edits.append(Edit(line.span, text if line is anchor else b"", REPLACED))
        edits += [Edit(block, b"", REPLACED) for block in blocks]
        if anchor is None and text:
            edits.append(Edit(place, text, REPLACED))
        if own_text:
            edits.append(Edit(Span(beside, beside), own_text, REPLACED))
        return edits

    def switched(self, own: Sequence[str], system: Sequence[str], dual: Sequence[str]) -> list[Edit]:
        """For a shared header: the lines that go stay in the `#else` branch of the new ones.

        `dual` are headers that legacy and stable units both include.
        """
        common = b"".join(b'#include "' + n.encode() + b'"\n' for n in dual)
        new = b"".join(b'  #include "' + n.encode() + b'"\n' for n in own)
        new += b"".join(b"  #include <" + n.encode() + b">\n" for n in system)
        runs: list[list[Span]] = []
        for span in (line.span for line in self.gone):
            if runs and not self.document.data[runs[-1][-1].end : span.start].strip():
                runs[-1].append(span)
            else:
                runs.append([span])
        if not runs:
            block = b"#ifdef TORCH_TARGET_VERSION\n" + new + b"#endif\n" if new else b""
            return [Edit(self._insertion_place(), common + block, REPLACED)] if common + block else []
        edits = []
        for number, run in enumerate(runs):
            whole = Span(run[0].start, run[-1].end)
            old = b"".join(b"  " + self.document.text(span).lstrip() for span in run)
            if number == 0 and new:
                text = b"#ifdef TORCH_TARGET_VERSION\n" + new + b"#else\n" + old + b"#endif\n"
            else:
                text = b"#ifndef TORCH_TARGET_VERSION\n" + old + b"#endif\n"
            edits.append(Edit(whole, text + (b"\n" + common if number == 0 and common else b""), REPLACED))
        return edits

    def _place_of_own(self, place: Span) -> tuple[int, bool]:
        """Where a header of the repository is included, and whether apart from what is there.

        With the file's first own ones, or behind those of the system that follow on `place`.
        """
        code = self.document.code
        head = [line for line in self.lines if not line.conditions and not _is_behind_code(code, line)]
        own = [line for line in head if line in self.stays and line.quoted]
        if own and own[0].span.start > place.start:
            return own[0].span.start, False  # which may lean on what came before it
        if own:
            run = [line.span for line in own]
            return next((a.end for a, b in pairwise(run) if a.end != b.start), run[-1].end), False
        end = reached = place.end
        for line in head:
            if line.span.start >= reached and not code[reached : line.span.start].strip():
                reached = line.span.end
                end = reached if line in self.stays else end
        return end, True

    def _insertion_place(self) -> Span:
        """Before the first unconditional include, or behind `#pragma once` and the leading comment."""
        for line in self.lines:
            if not line.conditions:
                return Span(line.span.start, line.span.start)
        pragma = _PRAGMA_ONCE.search(self.document.code)
        if pragma:
            return Span(pragma.end(), pragma.end())
        first = re.search(rb"\S", self.document.code)
        start = line_start(self.document.data, first.start()) if first else 0
        return Span(start, start)

    def _emptied_conditionals(self) -> list[Span]:
        """`#if ... #endif` blocks that hold nothing but lines that go."""
        code = self.document.code
        spans = [line.span for line in self.gone]
        found: list[Span] = []
        for block in read_conditionals(self.document):
            if block.is_guard or not any(block.span.contains(span) for span in spans):
                continue
            rest = b"".join(code[b.body.start : b.body.end] for b in block.branches)
            for span in spans:
                if block.span.contains(span):
                    rest = rest.replace(code[span.start : span.end], b"", 1)
            if not rest.strip():
                found.append(block.span)
        return [f for f in found if not any(o != f and o.contains(f) for o in found)]


def _is_behind_code(code: bytes, line: IncludeLine) -> bool:
    return re.search(rb"[{;]", code[: line.span.start]) is not None


def without_double_gaps(document: Document, edits: Iterable[Edit]) -> list[Edit]:
    """`edits` where lines that go between two empty ones take one of the two along."""
    data = document.data
    in_order = sorted(edits, key=lambda e: e.span)
    settled: list[Edit] = []
    start = 0  # of the run of removals that the edit belongs to
    for edit in in_order:
        joins = bool(settled) and settled[-1].span.end == edit.span.start and not settled[-1].replacement
        start = start if joins else edit.span.start
        gap = _EMPTY_LINE.match(data, edit.span.end)
        opens = start == 0 or data[:start].endswith((b"\n\n", b"\n\r\n"))
        taken = any(other.span.start == edit.span.end for other in in_order)
        if edit.replacement or edit.span.start == edit.span.end or gap is None or not opens or taken:
            settled.append(edit)
        else:
            settled.append(Edit(Span(edit.span.start, gap.end()), b"", edit.rule))
    return settled
