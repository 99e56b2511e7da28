"""Reports for people at a terminal."""

from __future__ import annotations

from torch_stabilize.report.diff_view import diff_line_kind, diff_lines
from torch_stabilize.report.documents import HEADINGS, summary
from torch_stabilize.report.lines import Lines
from torch_stabilize.report.view import Concern, FileRow, Report

STYLES = {Concern.REVIEW: "yellow", Concern.MANUAL: "red", Concern.NOTE: "cyan"}
DIFF_STYLES = {"header": "bold", "hunk": "cyan", "added": "green", "removed": "red"}


def print_report(report: Report, out: Lines) -> None:
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
        out.print(f"{rule.edits:6}  ", (rule.code, "cyan"), f"  {rule.title}")
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


def print_diff(diff: str, out: Lines) -> None:
    """A diff in colour, to look at: what is no text in it is shown as escapes."""
    for line in diff_lines(diff):
        out.print(line, style=DIFF_STYLES.get(diff_line_kind(line), ""))


def _file(row: FileRow) -> str:
    if row.action == "moved":
        return f"{row.old} -> {row.new}  {_edits(row)}"
    return f"{row.new or row.old}  {row.action if row.action != 'edited' else _edits(row)}"


def _edits(row: FileRow) -> str:
    return f"{row.edits} edit{'' if row.edits == 1 else 's'}"


def _print_findings(report: Report, concern: Concern, out: Lines) -> None:
    findings = report.of(concern)
    if not findings:
        return
    out.print(f"\n{HEADINGS[concern]} ({len(findings)})", style="bold")
    for alike in report.alike(concern):
        finding = alike[0]
        out.print(f"  {report.where(alike)} ", (finding.code, STYLES[concern]), f" {finding.message}")
        if finding.help:
            out.print(f"      {finding.help}", style="dim")
