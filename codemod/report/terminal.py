"""Reports for people at a terminal. Where the output is no terminal they are the same lines without colour."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from codemod.report.documents import HEADINGS, diff_line_kind, summary
from codemod.report.view import Concern, FileRow, Report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES = {Concern.REVIEW: "yellow", Concern.MANUAL: "red", Concern.NOTE: "cyan"}
DIFF_STYLES = {"header": "bold", "hunk": "cyan", "added": "green", "removed": "red"}


def console(file: IO[str] | None = None, *, stderr: bool = False) -> Console:
    """A console that never breaks a line: `path:line:column` has to stay in one piece."""
    from rich.console import Console

    return Console(file=file, stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)


def print_report(report: Report, out: Console) -> None:
    """The short report after a run."""
    if not report.files:
        out.print(f"{report.group}: nothing to change")
    else:
        out.print(f"{report.group}: {summary(report)} (target torch {report.target})", style="bold")
    for row in report.files:
        out.print(f"  {_file(row)}")
    if report.rules:
        out.print("\nEdits by rule", style="bold")
    for rule in report.rules:
        out.print(_cells((f"{rule.edits:6}  ", ""), (rule.code, "cyan"), (f"  {rule.title}", "")))
    if report.sites.found:
        sites = report.sites
        out.print(
            f"\nSites: {sites.found} found = {sites.rewritten} rewritten + {sites.diagnosed} diagnosed"
            f" + {sites.allowed} allowed"
        )
    for concern in Concern:
        _print_findings(report, concern, out)
    if report.next_steps:
        out.print("\nNext", style="bold")
    for step in report.next_steps:
        out.print(f"  {step}")


def print_diff(diff: str, out: Console) -> None:
    """A diff in colour, to look at: bytes that are no text are shown as question marks."""
    for line in diff.encode("utf-8", "surrogateescape").decode("utf-8", "replace").splitlines():
        out.print(line, style=DIFF_STYLES.get(diff_line_kind(line)))


def _file(row: FileRow) -> str:
    if row.action == "moved":
        return f"{row.old} -> {row.new}  {_edits(row)}"
    return f"{row.new or row.old}  {row.action if row.action != 'edited' else _edits(row)}"


def _edits(row: FileRow) -> str:
    return f"{row.edits} edit{'' if row.edits == 1 else 's'}"


def _print_findings(report: Report, concern: Concern, out: Console) -> None:
    findings = report.of(concern)
    if not findings:
        return
    out.print(f"\n{HEADINGS[concern]} ({len(findings)})", style="bold")
    for alike in report.alike(concern):
        finding = alike[0]
        out.print(
            _cells((f"  {report.where(alike)} ", ""), (finding.code, STYLES[concern]), (f" {finding.message}", ""))
        )
        if finding.help:
            out.print(f"      {finding.help}", style="dim")


def _cells(*cells: tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*cells)
