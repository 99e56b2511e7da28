"""A series as a table, as JSON and as the text of its pull requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.report.documents import summary
from torch_stabilize.report.lines import Lines
from torch_stabilize.report.view import Concern, Report

if TYPE_CHECKING:
    from torch_stabilize.model import Diagnostic
    from torch_stabilize.series.burn_down import Left
    from torch_stabilize.series.plan import Staying, Step

FORMAT = "torch-stabilize-series/1"
HEADINGS = ("migrated", "names", "sites", "legacy units", "stable units", "legacy ops", "stable ops")
_MOST_FILES = 3
_MOST_FINDINGS = 12


class Row(NamedTuple):
    """One line of the burn-down: what was migrated, and what is left after it."""

    step: str
    left: Left


def print_heading(start: Left, out: Lines) -> None:
    """The head of the table and the tree as it is."""
    out.print(f"| {' | '.join(HEADINGS)} |")
    out.print("|---|" + "---:|" * (len(HEADINGS) - 1))
    print_row(Row("nothing", start), out)


def print_row(row: Row, out: Lines) -> None:
    """One line of the table."""
    out.print(f"| {' | '.join(map(str, (row.step, *row.left)))} |")


def print_end(steps: Sequence[Step], staying: Sequence[Staying], start: Left, out: Lines) -> None:
    """What stays and why, below the table."""
    last = steps[-1].left if steps else start
    share = f"{100 * last.sites / start.sites:.1f} %" if start.sites else "0 %"
    units = sum(len(step.group.units) for step in steps)
    out.print(f"\n{len(steps)} steps, {units} units; {last.sites} of {start.sites} sites stay ({share})", style="bold")
    for one in staying:
        name = one.name or _listed(one.files)
        code = f"{one.code} " if one.code else ""
        out.print(f"{one.sites:6}  {name}  {code}{one.reason}")
    found = [one for step in steps for one in step.by_hand]
    if found:
        groups = sum(bool(step.by_hand) for step in steps)
        out.print(f"\nby hand, in {groups} of the steps: {len(found)} places", style="bold")
        for row in by_hand(found):
            out.print(f"{row.places:6}  {_listed(row.names)}  {row.code} in {len(row.files)} files: {row.help}")


class ByHand(NamedTuple):
    """What has one way out: the names, or the message where no name is, in how many places of which files."""

    code: str
    help: str
    names: tuple[str, ...]
    files: tuple[str, ...]
    places: int


def by_hand(found: Iterable[Diagnostic]) -> tuple[ByHand, ...]:
    """What is left to be done by hand, once for each way out, the most frequent first."""
    alike: dict[tuple[str, str], list[Diagnostic]] = {}
    for one in found:
        alike.setdefault((one.code, one.help), []).append(one)
    rows = (
        ByHand(code, way_out, _most_first(map(_subject, same)), _most_first(one.path for one in same), len(same))
        for (code, way_out), same in alike.items()
    )
    return tuple(sorted(rows, key=lambda row: (-row.places, row.code, row.names)))


def _subject(found: Diagnostic) -> str:
    return found.message.removesuffix(" has no stable form").removesuffix(" has no stable counterpart")


def _most_first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text, _ in Counter(texts).most_common())


def series_json(steps: Sequence[Step], staying: Sequence[Staying], start: Left) -> str:
    """The series as JSON, with a line end."""
    document = {
        "format": FORMAT,
        "start": start._asdict(),
        "steps": [
            {
                "group": step.group.name,
                "units": list(step.group.units),
                "left_out": list(step.left_out),
                "left": step.left._asdict(),
                "by_hand": [{**one._asdict(), "files": list(one.files)} for one in by_hand(step.by_hand)],
            }
            for step in steps
        ],
        "staying": [{**one._asdict(), "files": list(one.files)} for one in staying],
    }
    return json.dumps(document, indent=2) + "\n"


def commit_message(report: Report, before: Left, after: Left) -> str:
    """The message of a step's commit: a subject, what was done, what is left, and what a reviewer should look at."""
    lines = [
        f"Migrate {report.group} to the libtorch stable ABI",
        "",
        f"{summary(report)}; target torch {report.target}.",
        f"Unstable sites: {before.sites} -> {after.sites}. Legacy units: {before.units} -> {after.units}.",
        f"Operators on the stable ABI: {before.stable_operators} -> {after.stable_operators}.",
    ]
    for concern, heading in (
        (Concern.MANUAL, "Left to do by hand; the stable library builds once it is done:"),
        (Concern.REVIEW, "To review:"),
    ):
        found = report.alike(concern)
        if found:
            lines += ["", heading]
            lines += [f"- {report.where(one)} {one[0].code} {one[0].message}" for one in found[:_MOST_FINDINGS]]
            lines += [f"- and {len(found) - _MOST_FINDINGS} more"] if len(found) > _MOST_FINDINGS else []
    return "\n".join(lines) + "\n"


def _listed(files: Sequence[str]) -> str:
    more = f" and {len(files) - _MOST_FILES} more" if len(files) > _MOST_FILES else ""
    return ", ".join(files[:_MOST_FILES]) + more
