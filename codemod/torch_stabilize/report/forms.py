"""The forms of a report that is written to a file, by the suffix that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch_stabilize.codes import Code
    from torch_stabilize.report.view import Report

Form = Callable[["Report", Mapping[str, "Code"]], str]


def _markdown(report: Report, codes: Mapping[str, Code]) -> str:
    from torch_stabilize.report.documents import report_markdown

    return report_markdown(report)


def _html(report: Report, codes: Mapping[str, Code]) -> str:
    from torch_stabilize.report.documents import report_html

    return report_html(report)


def _json(report: Report, codes: Mapping[str, Code]) -> str:
    from torch_stabilize.report.as_json import report_json

    return report_json(report)


def _sarif(report: Report, codes: Mapping[str, Code]) -> str:
    from torch_stabilize.report.sarif import sarif

    return sarif([(finding, report.place(finding)) for finding in report.findings], codes)


FORMS: Mapping[str, Form] = {
    ".md": _markdown,
    ".html": _html,
    ".json": _json,
    ".sarif": _sarif,
}
