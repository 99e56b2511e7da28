"""Two plans of which the second was made on top of the first, as one plan of the tree that the first was made on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from torch_stabilize.bindings.codes import AUTOGRAD_CONVERTED
from torch_stabilize.diff import changed_ranges, split_lines
from torch_stabilize.model import Confidence, Diagnostic, Edit, FileChange, Plan, SiteCount, Span
from torch_stabilize.source.edits import settle


def compose(first: Plan, second: Plan) -> Plan:
    """What `first` and then `second` do. Neither has formatted its files: each file is what its edits make of it."""
    first, second = of_what_was_read(first), of_what_was_read(second)
    made = {change.new_path: change for change in first.files if change.new_path is not None}
    files = [change for change in first.files if change.new_path is None]
    done: set[str] = set()
    for change in second.files:
        earlier = made.get(change.old_path) if change.old_path is not None else None
        files.append(change if earlier is None else _joined(earlier, change))
        done |= {change.old_path} if earlier is not None and change.old_path is not None else set()
    files += [change for path, change in made.items() if path not in done]
    files = [one for one in files if one.before != one.after or one.old_path != one.new_path]
    told = [_before(made, one) for one in second.diagnostics]
    sites = dict(first.sites)
    for path, count in second.sites.items():
        old = made[path].old_path or path if path in made else path
        sites[old] = _added(sites[old], count) if old in sites else count
    return replace(
        first,
        files=tuple(sorted(files, key=lambda one: (one.old_path is None, one.old_path or one.new_path or ""))),
        diagnostics=tuple(dict.fromkeys((*first.diagnostics, *told))),
        sites=sites,
        callables=tuple(sorted({*first.callables, *second.callables})),
    )


def of_what_was_read(plan: Plan) -> Plan:
    """`plan` with edits and diagnostics at places of the files as read, also where one was converted before."""
    converted = {one.old_path: _conversion(one.before, one.edited) for one in plan.files if one.edited and one.before}
    if not converted:
        return plan
    files = (
        replace(one, edited=None, edits=compose_edits(one.before, converted[one.old_path], one.edits))
        if one.old_path in converted and one.before is not None
        else one
        for one in plan.files
    )
    return replace(plan, files=tuple(files), diagnostics=tuple(_back_by(converted, one) for one in plan.diagnostics))


def _conversion(before: bytes, after: bytes) -> tuple[Edit, ...]:
    """The edits that turn the lines of `before` into those of `after`."""
    old, new = [0, *accumulate(map(len, split_lines(before)))], [0, *accumulate(map(len, split_lines(after)))]
    return tuple(
        Edit(Span(old[i1], old[i2]), after[new[j1] : new[j2]], AUTOGRAD_CONVERTED.code, Confidence.REVIEW)
        for tag, i1, i2, j1, j2 in changed_ranges(before, after)
        if tag != "equal"
    )


def _back_by(converted: Mapping[str | None, Sequence[Edit]], one: Diagnostic) -> Diagnostic:
    """`one`, at the place that it had before the edits of its file."""
    if one.path not in converted:
        return one
    back = _Back(converted[one.path])
    start = back.offset(one.span.start)
    return replace(one, span=Span(start, max(start, back.offset(one.span.end))))


def _joined(first: FileChange, second: FileChange) -> FileChange:
    edits = compose_edits(first.before, first.edits, second.edits) if first.before is not None else ()
    return FileChange(first.old_path, second.new_path, first.before, second.after, edits)


def _before(made: dict[str, FileChange], one: Diagnostic) -> Diagnostic:
    """`one`, at the place that it had before the first plan."""
    change = made.get(one.path)
    if change is None or change.old_path is None or change.before is None:
        return one
    return replace(_back_by({one.path: change.edits}, one), path=change.old_path)


def _added(one: SiteCount, other: SiteCount) -> SiteCount:
    return SiteCount(
        one.found + other.found,
        one.rewritten + other.rewritten,
        one.diagnosed + other.diagnosed,
        one.allowed + other.allowed,
    )


@dataclass(frozen=True)
class _Back:
    """Where bytes of an edited file were before `edits`."""

    edits: Sequence[Edit]

    def offset(self, after: int) -> int:
        """Where the byte at `after` was; within what an edit wrote: where that edit starts."""
        grown = 0
        for edit in self.edits:
            start = edit.span.start + grown
            if after < start + len(edit.replacement):
                return min(edit.span.start, after - grown) if after < start else edit.span.start
            if after < start:
                break
            grown += len(edit.replacement) - len(edit.span)
        return after - grown


def compose_edits(data: bytes, first: Iterable[Edit], second: Iterable[Edit]) -> tuple[Edit, ...]:
    """The edits of `data` that do what `first`, and then `second` on the result, do.

    Where both touch a place they are one edit, with the rule and the confidence of the less sure one.
    """
    placed = _placed(settle(first))
    waiting = list(settle(second))
    found: list[Edit] = []
    grown = 0
    while placed or waiting:
        if not placed or (waiting and waiting[0].span.end < placed[0][0].start):
            edit = waiting.pop(0)
            found.append(replace(edit, span=edit.span.shifted(-grown)))
            continue
        if not waiting or placed[0][0].end < waiting[0].span.start:
            span, edit = placed.pop(0)
            found.append(edit)
            grown += len(span) - len(edit.span)
            continue
        ours, theirs = [placed.pop(0)], [waiting.pop(0)]
        end = max(ours[0][0].end, theirs[0].span.end)
        while (placed and placed[0][0].start <= end) or (waiting and waiting[0].span.start <= end):
            if placed and placed[0][0].start <= end:
                ours.append(placed.pop(0))
                end = max(end, ours[-1][0].end)
            else:
                theirs.append(waiting.pop(0))
                end = max(end, theirs[-1].span.end)
        found.append(_merged(data, ours, theirs, grown))
        grown += sum(len(span) - len(edit.span) for span, edit in ours)
    return tuple(found)


def _placed(edits: Sequence[Edit]) -> list[tuple[Span, Edit]]:
    """Each edit with the place of what it wrote in the edited file."""
    found = []
    grown = 0
    for edit in edits:
        start = edit.span.start + grown
        found.append((Span(start, start + len(edit.replacement)), edit))
        grown += len(edit.replacement) - len(edit.span)
    return found


def _merged(data: bytes, ours: Sequence[tuple[Span, Edit]], theirs: Sequence[Edit], grown: int) -> Edit:
    """One edit for those that touch each other; `grown` is what the edits in front of them have added."""
    begin = min(ours[0][0].start, theirs[0].span.start)
    end = max(ours[-1][0].end, theirs[-1].span.end)
    more = sum(len(span) - len(edit.span) for span, edit in ours)
    old = Span(begin - grown, end - grown - more)
    text, done = b"", old.start
    for _, edit in ours:
        text += data[done : edit.span.start] + edit.replacement
        done = edit.span.end
    text += data[done : old.end]
    for edit in reversed(theirs):
        text = text[: edit.span.start - begin] + edit.replacement + text[edit.span.end - begin :]
    order = ("safe", "review", "manual")
    least = max((*(edit for _, edit in ours), *theirs), key=lambda edit: order.index(edit.confidence.value))
    return Edit(old, text, least.rule, least.confidence)
