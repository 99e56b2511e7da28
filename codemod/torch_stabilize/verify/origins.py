"""Where a line of the migrated tree comes from: its place before the migration, and the rules that edited it.

The migration is planned again on the legacy tree. The plan is a function of that tree, so it is the one that was
written, unless somebody edited the result since; such lines are told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch_stabilize.diff import changed_ranges
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Diagnostic, Edit, FileChange, Plan, Refusal, Severity, Span
from torch_stabilize.repository.building_torch import building_torch
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.edits import apply
from torch_stabilize.verify.codes import CHANGED_SINCE
from torch_stabilize.verify.errors import line_span
from torch_stabilize.verify.trees import Tree

Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Origin:
    """Where a line comes from. `path` is "" for a generated file; `line` counts from 1, 0 is one somebody added."""

    path: str
    line: int
    rules: tuple[str, ...] = ()
    by_hand: bool = False  # the line is not as the migration wrote it

    def __str__(self) -> str:
        """`csrc/scale.cu:12, edited by TSA101`."""
        if not self.line and self.by_hand:
            return "added since the migration"
        place = f"{self.path}:{self.line}" if self.path else "generated"
        rules = f", edited by {', '.join(self.rules)}" if self.rules else ""
        return f"{place}{rules}{', changed since' if self.by_hand else ''}"


@dataclass(frozen=True)
class Migration:
    """The migration of a group: `plan`, and `read`, which gives the bytes of files of the legacy tree."""

    plan: Plan
    read: Read = field(repr=False)

    @cached_property
    def _changes(self) -> Mapping[str, FileChange]:
        return {change.new_path: change for change in self.plan.files if change.new_path is not None}

    def origin(self, path: str, line: int, data: bytes) -> Origin | None:
        """Where line `line` of the file `path` comes from; `data` is the file as it is now.

        None for a file that the migration does not touch.
        """
        change = self._changes.get(path)
        if change is None or change.after is None:
            return None
        written, by_hand = _lines_behind(line, data, change.after)
        if not written:
            return Origin(change.old_path or "", 0, by_hand=True)
        if change.before is None or (not change.edits and change.before != change.after):
            return Origin("", 0, by_hand=by_hand)
        edited = apply(change.before, change.edits)
        behind = [number for one in written for number in _lines_behind(one, change.after, edited)[0]]
        if not behind:
            return Origin(change.old_path or path, 1, (), by_hand)
        placed = _placed(change.edits)
        spans = [line_span(edited, number) for number in behind]
        rules = dict.fromkeys(rule for span in spans for rule in _rules_of(span, placed))
        first = change.before.count(b"\n", 0, _offset_before(spans[0].start, placed)) + 1
        return Origin(change.old_path or path, first, tuple(rules), by_hand)

    def against(self, read: Callable[[str], bytes | None]) -> Migration:
        """The same with a warning for each file that is not as the plan writes it; `read` gives a file as it is now."""
        changed = tuple(
            Diagnostic(
                CHANGED_SINCE, Severity.WARNING, change.old_path or path, Span(0, 0), "not as the migration writes it"
            )
            for path, change in sorted(self._changes.items())
            if read(path) != change.after
        )
        return replace(self, plan=replace(self.plan, diagnostics=(*self.plan.diagnostics, *changed)))


def plan_again(legacy: Tree, group: Group, target: str, *, in_place: bool) -> Migration | None:
    """The migration of `group` in the tree before it; None where the group cannot be migrated by the tool."""
    try:
        built = building_torch(legacy.snapshot, legacy.config, legacy.layout.project_root, target)
        options = Options(target=target, in_place=in_place, headers=built.version)
        plan = plan_migration(legacy.snapshot, legacy.layout, group, options, legacy.config)
    except Refusal:
        return None
    return Migration(plan, legacy.snapshot.read)


def _lines_behind(line: int, now: bytes, before: bytes) -> tuple[tuple[int, ...], bool]:
    """The lines of `before` that line `line` of `now` represents, and whether it differs from them."""
    for kind, start, end, old_start, old_end in changed_ranges(now, before):
        if start < line <= end:
            if kind == "equal":
                return (line - start + old_start,), False
            return tuple(range(old_start + 1, old_end + 1)), True
    return (), True


def _rules_of(line: Span, placed: tuple[tuple[Span, Edit], ...]) -> Iterator[str]:
    """The rules of the edits that touch a line; what ends with the line before does not."""
    for span, edit in placed:
        if span.start <= line.end and (span.end > line.start or span.start >= line.start):
            yield edit.rule


def _offset_before(offset: int, placed: tuple[tuple[Span, Edit], ...]) -> int:
    """Where a byte of the edited file stood; for one that an edit wrote, where that edit starts."""
    done = 0
    for span, edit in placed:
        if span.end > offset:
            return edit.span.start if span.start < offset else offset - done
        done = span.end - edit.span.end
    return offset - done


def _placed(edits: Iterable[Edit]) -> tuple[tuple[Span, Edit], ...]:
    """The edits with the spans of what they wrote."""
    grown = 0
    found = []
    for edit in sorted(edits):
        start = edit.span.start + grown
        found.append((Span(start, start + len(edit.replacement)), edit))
        grown += len(edit.replacement) - len(edit.span)
    return tuple(found)
