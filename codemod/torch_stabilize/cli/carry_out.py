"""What verbs that have a plan do with it: show it, write it or commit it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch_stabilize.model import Plan
    from torch_stabilize.report.view import Report, Stage
    from torch_stabilize.repository.snapshot import Snapshot


def carry_out(plan: Plan, snapshot: Snapshot, stage: Stage, *, allow_dirty: bool, message: str = "") -> None:
    """Write or commit `plan`, as `stage` says."""
    from torch_stabilize.report.view import Stage
    from torch_stabilize.writer import commit, write

    if stage is Stage.WRITTEN:
        write(plan, snapshot, allow_dirty=allow_dirty)
    elif stage is Stage.COMMITTED:
        commit(plan, snapshot, message=message)


def print_outcome(report: Report, *, as_json: bool) -> None:
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
