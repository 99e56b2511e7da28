"""What verbs that have a plan do with it: show it, write it or commit it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from torch_stabilize.cli.report_files import rendered, write_text

if TYPE_CHECKING:
    from torch_stabilize.codes import Code
    from torch_stabilize.report.view import Report
    from torch_stabilize.repository.snapshot import Snapshot


class Output(NamedTuple):
    """What to print, and a file to write the report to; `codes` are the pages that it refers to."""

    codes: Mapping[str, Code]
    report_file: Path | None
    as_json: bool


def carry_out(report: Report, snapshot: Snapshot, output: Output, *, allow_dirty: bool, message: str = "") -> int:
    """Write or commit the plan of `report`, as its stage says, and show it. Returns the exit code."""
    from torch_stabilize.report.view import Concern, Stage
    from torch_stabilize.writer import commit, write

    path = output.report_file
    text = rendered(report, path, output.codes) if path is not None else ""  # before anything is written
    if report.stage is Stage.WRITTEN:
        write(report.plan, snapshot, allow_dirty=allow_dirty)
    elif report.stage is Stage.COMMITTED:
        commit(report.plan, snapshot, message=message)
    _print(report, as_json=output.as_json)
    if path is not None:
        write_text(path, text)
    return 1 if report.of(Concern.MANUAL) else 0


def _print(report: Report, *, as_json: bool) -> None:
    """The report on stdout; a diff takes stdout for itself, so that it can be piped, and sends the report to stderr."""
    from torch_stabilize.report.as_json import report_json
    from torch_stabilize.report.lines import lines
    from torch_stabilize.report.terminal import print_diff, print_report
    from torch_stabilize.report.view import Stage

    if as_json:
        click.echo(report_json(report), nl=False)
        return
    if report.stage is not Stage.SHOWN:
        print_report(report, lines())
        return
    from torch_stabilize.diff import render_diff

    diff = render_diff(report.plan)
    if sys.stdout.isatty():
        print_diff(diff, lines())
    else:
        sys.stdout.buffer.write(diff.encode("utf-8", "surrogateescape"))
    print_report(report, lines(stderr=True))
