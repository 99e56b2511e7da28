"""A report as a document for people: Markdown for a pull request, HTML for a browser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from torch_stabilize.codes import page_address
from torch_stabilize.diff import render_diff
from torch_stabilize.report.diff_view import diff_files, shown_at
from torch_stabilize.report.markup import markdown, markdown_block, markdown_cell, markdown_code, spans, split_help
from torch_stabilize.report.places import Place
from torch_stabilize.report.printable import printable
from torch_stabilize.report.view import Concern, Finding, Report
from torch_stabilize.templates import render

HEADINGS = {
    Concern.REVIEW: "Applied, needs review",
    Concern.MANUAL: "Not applied, to do by hand",
    Concern.NOTE: "Notes",
}
_BY_HAND_FIRST = (Concern.MANUAL, Concern.REVIEW, Concern.NOTE)


@dataclass(frozen=True)
class Row:
    """Findings that say the same of one file: their places as text, the advice, and the first one's code in it.

    `numbers` are those of the findings on the page; `linked` is the first that the diff shows, 0 for none.
    """

    finding: Finding
    where: str
    words: str
    code: str
    numbers: tuple[int, ...] = ()
    linked: int = 0


@dataclass(frozen=True)
class Section:
    """The findings of one concern."""

    concern: Concern
    heading: str
    count: int
    rows: tuple[Row, ...]


def report_markdown(report: Report) -> str:
    """The text of a pull request. What looks like markup in names and messages is escaped."""
    sections = _sections(report, tuple(Concern), {}, {})
    forms = {"md": markdown, "cell": markdown_cell, "code": markdown_code, "block": markdown_block}
    values = {"report": report, "sections": sections, "summary": summary(report), **forms}
    return printable(render("report/report.md.j2", **values))


def report_html(report: Report) -> str:
    """One page with everything in it, the diff with its findings too; it loads nothing."""
    files = diff_files(render_diff(report.plan))
    numbers = {finding: number for number, finding in enumerate(report.findings, 1)}
    places = {number: (_line(finding.place), _line(finding.place_after)) for finding, number in numbers.items()}
    shown = shown_at(files, places)
    spots = {number: spot for spot, found in shown.items() for number in found}
    return printable(
        render(
            "report/report.html.j2",
            report=report,
            summary=summary(report),
            page_address=page_address,
            spans=spans,
            sections=_sections(report, _BY_HAND_FIRST, numbers, spots),
            files=files,
            notes={spot: [(number, report.findings[number - 1]) for number in found] for spot, found in shown.items()},
            marked=Counter(path for (path, _), found in shown.items() for _ in found),
        )
    )


def summary(report: Report) -> str:
    """What happens to how many files, in one phrase: "2 files moved, 3 created"."""
    if not report.files:
        return "nothing to change"
    parts = [f"{count} {action}" for action, count in report.actions.items()]
    first, _, rest = parts[0].partition(" ")
    noun = "file" if first == "1" else "files"
    return ", ".join([f"{first} {noun} {rest}", *parts[1:]])


def _sections(
    report: Report,
    order: tuple[Concern, ...],
    numbers: Mapping[Finding, int],
    spots: Mapping[int, tuple[str, int]],
) -> tuple[Section, ...]:
    """The findings by concern, in this order, without concerns that have none."""
    return tuple(
        Section(
            concern,
            HEADINGS[concern],
            len(report.of(concern)),
            tuple(_row(report, alike, numbers, spots) for alike in report.alike(concern)),
        )
        for concern in order
        if report.of(concern)
    )


def _row(
    report: Report, alike: tuple[Finding, ...], numbers: Mapping[Finding, int], spots: Mapping[int, tuple[str, int]]
) -> Row:
    mine = tuple(numbers[finding] for finding in alike if finding in numbers)
    words, code = split_help(alike[0].help)
    linked = next((number for number in mine if number in spots), 0)
    return Row(alike[0], report.where(alike), words, code, mine, linked)


def _line(place: Place | None) -> tuple[str, int] | None:
    return (place.path, place.line) if place is not None and place.line else None
