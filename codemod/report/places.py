"""Byte offsets as places people and editors know: path, line and column, before and after a migration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from codemod.diff import changed_ranges, split_lines
from codemod.model import Edit, FileChange, Plan
from codemod.source.edits import apply

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


def offset_after(offset: int, edits: Iterable[Edit]) -> int:
    """Where `offset` of a file is once `edits` are done; within replaced bytes: where the replacement starts."""
    moved = offset
    for edit in edits:
        if edit.span.end <= offset and edit.span.start < offset:
            moved += len(edit.replacement) - len(edit.span)
        elif edit.span.start < offset:
            moved -= offset - edit.span.start
    return moved


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
        self._created = {c.new_path: c.after or b"" for c in plan.files if c.old_path is None and c.new_path}
        self._edited: dict[str, bytes] = {}  # files with their edits, before they were formatted

    def before(self, path: str, offset: int) -> Place:
        """The place of `offset` in the file as it was read; a new file's place is its own."""
        change = self._changes.get(path)
        if change is not None and change.before is not None:
            return place_in(path, change.before, offset)
        if path in self._created:
            return place_in(path, self._created[path], offset)
        return place_in(path, self._read(path), offset) if path else Place("")

    def after(self, path: str, offset: int) -> Place | None:
        """The place of `offset` of the file as it was read, in the migrated tree; None where its lines are gone."""
        change = self._changes.get(path)
        if change is None:
            return self.before(path, offset)
        if change.new_path is None or change.after is None or change.before is None:
            return Place(change.new_path or path)
        if any(_takes_out(edit, offset, change.before) for edit in change.edits):
            return None
        if path not in self._edited:
            self._edited[path] = apply(change.before, change.edits)
        edited = self._edited[path]
        place = place_in(change.new_path, edited, offset_after(offset, change.edits))
        if edited == change.after:
            return place
        line = line_after(place.line, edited, change.after)
        return replace(place, line=line) if line == place.line else replace(place, line=line, column=1)


def _takes_out(edit: Edit, offset: int, before: bytes) -> bool:
    """Whether `offset` is within lines that `edit` removes; what is removed within a line leaves the line."""
    removed = before[edit.span.start : edit.span.end]
    return edit.span.start <= offset < edit.span.end and not edit.replacement and b"\n" in removed
