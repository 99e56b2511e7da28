"""A report as a document for people: Markdown for a pull request, HTML for a browser."""

from __future__ import annotations

from torch_stabilize.diff import render_diff
from torch_stabilize.report.printable import printable
from torch_stabilize.report.view import Concern, Report
from torch_stabilize.templates import render

HEADINGS = {
    Concern.REVIEW: "To review: done, please look",
    Concern.MANUAL: "By hand: not done",
    Concern.NOTE: "Notes",
}

_HEADERS = ("diff --git ", "--- ", "+++ ", "rename ", "similarity ", "new file ", "deleted file ", "index ")
_KINDS = {"@": "hunk", "+": "added", "-": "removed"}


def report_markdown(report: Report) -> str:
    """The text of a pull request."""
    return printable(render("report/report.md.j2", **_values(report)))


def report_html(report: Report) -> str:
    """One page with everything in it, the diff too; it loads nothing."""
    diffs = diffs_of_files(render_diff(report.plan))
    return printable(render("report/report.html.j2", diffs=diffs, **_values(report)))


def diffs_of_files(diff: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """A diff of many files taken apart: for each the new path, and its lines with what they are."""
    files: list[tuple[str, list[tuple[str, str]]]] = []
    for line in diff_lines(diff):
        if line.startswith("diff --git "):
            files.append((line.rpartition(" b/")[2], []))
        if files:
            files[-1][1].append((diff_line_kind(line), line))
    return files


def diff_lines(diff: str) -> list[str]:
    """The lines of `diff` as they are shown, those of files with CRLF too."""
    return [line.removesuffix("\r") for line in diff.split("\n")[:-1]]


def diff_line_kind(line: str) -> str:
    """What a line of a diff is: header, hunk, added, removed or same."""
    if line.startswith(_HEADERS):
        return "header"
    return _KINDS.get(line[:1], "same")


def _values(report: Report) -> dict[str, object]:
    sections = [
        {"heading": HEADINGS[concern], "count": len(report.of(concern)), "findings": report.alike(concern)}
        for concern in Concern
        if report.of(concern)
    ]
    return {"report": report, "sections": sections, "summary": summary(report)}


def summary(report: Report) -> str:
    """What happens to how many files, in one phrase: "2 files moved, 3 created"."""
    if not report.files:
        return "nothing to change"
    parts = [f"{count} {action}" for action, count in report.actions.items()]
    first, _, rest = parts[0].partition(" ")
    noun = "file" if first == "1" else "files"
    return ", ".join([f"{first} {noun} {rest}", *parts[1:]])
