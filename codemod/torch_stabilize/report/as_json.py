"""A report as JSON. `report.schema.json` describes it; a change that breaks its readers gets a new format name."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch_stabilize.report.places import Place
from torch_stabilize.report.view import FileRow, Finding, Report

FORMAT = "torch-stabilize-report/1"


def report_json(report: Report) -> str:
    """`report` as JSON, with a line end."""
    document = {
        "format": FORMAT,
        "group": report.group,
        "target": report.target,
        "stage": report.stage.value,
        "sites": asdict(report.sites),
        "files": [_file(row) for row in report.files],
        "rules": [
            {"code": row.code, "title": row.title, "confidence": row.confidence.value, "edits": row.edits}
            for row in report.rules
        ],
        "findings": [finding_json(finding) for finding in report.findings],
        "callables": [one._asdict() for one in report.plan.callables],
        "next": list(report.next_steps),
        "verification": json.loads(report.verification.to_json()) if report.verification is not None else None,
    }
    return json.dumps(document, indent=2) + "\n"


def schema(name: str) -> dict[str, Any]:
    """The JSON schema `name`: report, scan or check. Raises FileNotFoundError for another."""
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name(f"{name}.schema.json").read_text(encoding="utf-8"))
    return loaded


def finding_json(finding: Finding) -> dict[str, Any]:
    """One finding for JSON."""
    return {
        "concern": finding.concern.value,
        "code": finding.code,
        "title": finding.title,
        "place": place_json(finding.place),
        "place_after": place_json(finding.place_after) if finding.place_after is not None else None,
        "message": finding.message,
        "help": finding.help,
    }


def place_json(place: Place) -> dict[str, Any]:
    """One place for JSON; a whole file has no line."""
    return {"path": place.path, "line": place.line or None, "column": place.column or None}


def _file(row: FileRow) -> dict[str, Any]:
    return {
        "action": row.action,
        "old": row.old or None,
        "new": row.new or None,
        "edits": row.edits,
        "lines_added": row.added,
        "lines_removed": row.removed,
        "sites": asdict(row.sites),
    }
