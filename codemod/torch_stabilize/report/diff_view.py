"""A diff taken apart for a page: files, lines with their kind, and at which lines findings are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_HEADERS = ("diff --git ", "--- ", "+++ ", "rename ", "similarity ", "new file ", "deleted file ", "index ")
_KINDS = {"@": "hunk", "+": "added", "-": "removed"}
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True)
class DiffLine:
    """A line as the diff has it; `before` and `after` are its numbers in the two files, 0 where it is in none."""

    kind: str
    text: str
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class DiffFile:
    """The part of a diff about one file: its path before ("" for a new one) and after, and its lines."""

    old: str
    path: str
    lines: tuple[DiffLine, ...]


def diff_lines(diff: str) -> list[str]:
    """The lines of `diff` as they are shown, those of files with CRLF too."""
    return [line.removesuffix("\r") for line in diff.split("\n")[:-1]]


def diff_line_kind(line: str) -> str:
    """What a line of a diff is: header, hunk, added, removed or same."""
    if line.startswith(_HEADERS):
        return "header"
    return _KINDS.get(line[:1], "same")


def diff_files(diff: str) -> tuple[DiffFile, ...]:
    """A diff of many files, taken apart."""
    texts: list[list[str]] = []
    for line in diff_lines(diff):
        if line.startswith("diff --git "):
            texts.append([])
        if texts:
            texts[-1].append(line)
    return tuple(map(_diff_file, texts))


def shown_at(
    files: Iterable[DiffFile], places: Mapping[int, tuple[tuple[str, int] | None, tuple[str, int] | None]]
) -> dict[tuple[str, int], tuple[int, ...]]:
    """Which findings are at which line: (path of the file after, index of the line) to their numbers.

    `places` gives for each number the path and line before and after, None where there is none. A finding is at the
    line after where the diff shows it, else at the line before; one whose lines the diff leaves out is nowhere.
    """
    after: dict[tuple[str, int], tuple[str, int]] = {}
    before: dict[tuple[str, int], tuple[str, int]] = {}
    for file in files:
        for index, line in enumerate(file.lines):
            if line.after:
                after[file.path, line.after] = (file.path, index)
            if line.before:
                before[file.old or file.path, line.before] = (file.path, index)
    found: dict[tuple[str, int], tuple[int, ...]] = {}
    for number, (old, new) in places.items():
        spot = (after.get(new) if new else None) or (before.get(old) if old else None)
        if spot is not None:
            found[spot] = (*found.get(spot, ()), number)
    return found


def _diff_file(lines: list[str]) -> DiffFile:
    path = lines[0].rpartition(" b/")[2]
    old = next((line.removeprefix("rename from ") for line in lines if line.startswith("rename from ")), path)
    shown = []
    before = after = 0
    in_hunk = False
    for text in lines:
        hunk = _HUNK.match(text)
        if hunk:
            before, after, in_hunk = int(hunk[1]), int(hunk[2]), True
            shown.append(DiffLine("hunk", text))
        elif not in_hunk:
            shown.append(DiffLine(diff_line_kind(text), text))
        else:
            kind = _KINDS.get(text[:1], "same")
            counted = text[:1] != "\\"  # "\ No newline at end of file"
            old_line = before if counted and kind != "added" else 0
            new_line = after if counted and kind != "removed" else 0
            shown.append(DiffLine(kind, text, old_line, new_line))
            before += bool(old_line)
            after += bool(new_line)
    return DiffFile(old, path, tuple(shown))
