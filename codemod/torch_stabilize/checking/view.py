"""What `check` prints."""

from __future__ import annotations

import json

from torch_stabilize.checking.check import CheckResult
from torch_stabilize.report.annotations import annotation
from torch_stabilize.report.as_json import place_json
from torch_stabilize.report.lines import Lines

FORMAT = "torch-stabilize-check/1"


def print_check(result: CheckResult, out: Lines) -> None:
    """One line for every finding, and the figures."""
    for finding in result.findings:
        out.print(f"{finding.place} {finding.code} {finding.message}")
    _print_figures(result, out)


def print_annotations(result: CheckResult, out: Lines) -> None:
    """A command for GitHub's log for every finding, and the figures."""
    for finding in result.findings:
        out.print(annotation("error", finding.code, finding.place, finding.message))
    _print_figures(result, out)


def _print_figures(result: CheckResult, out: Lines) -> None:
    counts = f"{result.files} stable files, {result.sites} unstable sites, {result.allowed} of them allowed"
    if result.findings:
        out.print(f"check failed: {len(result.findings)} findings ({counts})", style="red")
    else:
        out.print(f"check passed: {counts}", style="green")


def check_json(result: CheckResult) -> str:
    """`result` as JSON, with a line end; `check.schema.json` describes it."""
    document = {
        "format": FORMAT,
        "passed": not result.findings,
        "files": result.files,
        "sites": result.sites,
        "allowed": result.allowed,
        "findings": [
            {
                "code": finding.code,
                "title": finding.title,
                "place": place_json(finding.place),
                "message": finding.message,
            }
            for finding in result.findings
        ],
    }
    return json.dumps(document, indent=2) + "\n"
