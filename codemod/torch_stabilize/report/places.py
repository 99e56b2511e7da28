"""Byte offsets as places people and editors know: path, line and column, before and after a migration."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import accumulate

from torch_stabilize.diff import changed_ranges, split_lines
from torch_stabilize.model import Edit, FileChange, Plan
from torch_stabilize.source.edits import apply

Read = Callable[[str], bytes]


@dataclass(frozen=True, order=True)
class Place:
    """A line and a column of a file, both counted from 1; columns count characters. Line 0 is the file as a whole."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """`path:line:column`, as compilers print it."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


def place_in(path: str, data: bytes, offset: int) -> Place:
    """The place of `offset` in `data`; an offset behind the end is at the end."""
    before = data[:offset]
    start_of_line = before.rfind(b"\n") + 1
    return Place(path, before.count(b"\n") + 1, len(before[start_of_line:].decode("utf-8", "replace")) + 1)


class Shifts:
    """What the edits of one file, which do not overlap, do to the offsets of the file as it was read."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        self._edits = sorted(edits, key=lambda edit: (edit.span.start, edit.span.end))
        self._starts = [edit.span.start for edit in self._edits]
        grown = (len(edit.replacement) - len(edit.span) for edit in self._edits)
        self._grown = list(accumulate(grown, initial=0))  # by all edits in front of each

    def after(self, offset: int) -> int:
        """Where `offset` is once the edits are done; within replaced bytes: where the replacement starts."""
        count = bisect_left(self._starts, offset)
        if not count:
            return offset
        last = self._edits[count - 1].span
        if last.end <= offset:
            return offset + self._grown[count]
        return last.start + self._grown[count - 1]

    def around(self, offset: int) -> tuple[Edit, ...]:
        """The edits that replace the byte at `offset`."""
        end = bisect_right(self._starts, offset)
        begin = bisect_left(self._starts, self._starts[end - 1]) if end else 0
        return tuple(edit for edit in self._edits[begin:end] if offset < edit.span.end)


def line_after(line: int, before: bytes, after: bytes) -> int:
    """The line of `after` that line `line` of `before` became: for a changed one, where the change starts."""
    for kind, old_start, old_end, new_start, _ in changed_ranges(before, after):
        if old_start < line <= old_end:
            return line - old_start + new_start if kind == "equal" else new_start + 1
    return max(1, min(line, len(split_lines(after))))


class Places:
    """Places in the files of one plan. `read` gives the bytes of files the plan does not change."""

    def __init__(self, plan: Plan, read: Read) -> None:
        self._read = read
        self._changes: dict[str, FileChange] = {
            change.old_path: change for change in plan.files if change.old_path is not None
        }
        # What the plan writes at a place of its own: findings of the plan's check and of helpers are about that.
        self._written = {c.new_path: c.after or b"" for c in plan.files if c.new_path and c.new_path != c.old_path}
        self._shifts: dict[str, Shifts] = {}
        self._edited: dict[str, bytes] = {}  # files with their edits, before they were formatted

    def before(self, path: str, offset: int) -> Place:
        """The place of `offset` in the file as it was read; the place in a file that the plan writes is its own."""
        change = self._changes.get(path)
        if change is not None and change.before is not None:
            return place_in(path, _edited(change), offset)
        if path in self._written:
            return place_in(path, self._written[path], offset)
        return place_in(path, self._read(path), offset) if path else Place("")

    def after(self, path: str, offset: int) -> Place | None:
        """The place of `offset` of the file as it was read, in the migrated tree; None where its lines are gone."""
        change = self._changes.get(path)
        if change is None:
            return self.before(path, offset)
        if change.new_path is None or change.after is None or change.before is None:
            return Place(change.new_path or path)
        if path not in self._edited:
            self._edited[path] = apply(_edited(change), change.edits)
            self._shifts[path] = Shifts(change.edits)
        edited, shifts = self._edited[path], self._shifts[path]
        if any(_takes_out(edit, _edited(change)) for edit in shifts.around(offset)):
            return None
        place = place_in(change.new_path, edited, shifts.after(offset))
        if edited == change.after:
            return place
        line = line_after(place.line, edited, change.after)
        return replace(place, line=line) if line == place.line else replace(place, line=line, column=1)


def _edited(change: FileChange) -> bytes:
    """The file that the edits of `change` are places of."""
    return change.edited if change.edited is not None else change.before or b""


def _takes_out(edit: Edit, before: bytes) -> bool:
    """Whether `edit` removes lines; what is removed within a line leaves the line."""
    return not edit.replacement and b"\n" in before[edit.span.start : edit.span.end]
