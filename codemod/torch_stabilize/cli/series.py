"""`torch-stabilize series`: every group of a repository, one after another."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from torch_stabilize.cli.plan_options import COMMITTED, SHOWN, headers_option, target_option
from torch_stabilize.model import DEFAULT_TARGET, Refusal

if TYPE_CHECKING:
    from torch_stabilize.report.view import Report
    from torch_stabilize.repository.snapshot import Snapshot
    from torch_stabilize.series.plan import Step


@click.command()
@click.option("--show", "mode", flag_value=SHOWN, default=True, help="Show the steps and write nothing (default).")
@click.option("--commit", "mode", flag_value=COMMITTED, help="Commit each step, one commit a group.")
@click.option("--branches", "prefix", metavar="PREFIX", help="With --commit: a branch a group, each on the one before.")
@click.option(
    "--texts", type=click.Path(path_type=Path, file_okay=False), help="A folder for the text of each request."
)
@click.option(
    "--by-hand", is_flag=True, help="Go on with groups of which lines are left to do by hand; they come last."
)
@click.option("--steps", "most", type=click.IntRange(min=1), help="Stop after so many steps.")
@target_option
@headers_option
@click.option("--in-place/--move", "in_place", default=None, help="As for `migrate`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    mode: str,
    prefix: str | None,
    texts: Path | None,
    by_hand: bool,
    most: int | None,
    target: str | None,
    headers: str | None,
    in_place: bool | None,
    as_json: bool,
) -> int:
    """Migrate every group, in an order in which each step leaves a tree that builds, and show what is left.

    A step has nothing that is left to do by hand; what stays is listed with its reason, and the exit code is 1. With
    --by-hand groups follow whose stable library builds once the lines that are listed are done. What is done is read
    off the tree: run it again after an interruption, or when the tree has moved on.
    """
    if prefix is not None and mode != COMMITTED:
        raise click.UsageError("--branches needs --commit.")
    from torch_stabilize.cli.workspace import open_workspace, progress
    from torch_stabilize.migration.plan import Options
    from torch_stabilize.report.lines import lines
    from torch_stabilize.report.series_view import Row, print_end, print_heading, print_row, series_json
    from torch_stabilize.repository.git import branches
    from torch_stabilize.series.plan import EMPTIED, Series

    if texts is not None:
        texts.mkdir(parents=True, exist_ok=True)
    with progress("Reading the repository"):
        workspace = open_workspace(reads_only=mode == SHOWN)
        chosen = target or workspace.config.target or DEFAULT_TARGET
        built = workspace.headers(chosen, headers)
        if mode == COMMITTED:
            _check_clean(workspace.snapshot)
        options = Options(target=chosen, in_place=in_place, headers=built.version, format=mode == COMMITTED)
        series = Series(workspace.snapshot, workspace.config, options, by_hand)
    out = lines(stderr=as_json)
    print_heading(series.start, out)
    earlier = len(branches(workspace.snapshot.root, prefix)) if prefix is not None else 0  # of a run that was stopped
    steps: list[Step] = []
    before, tree = series.start, series.tree
    for step in series.steps():
        steps.append(step)
        report = _report(step, tree, mode)
        message = _message(report, before, step)
        if texts is not None:
            _write_text(texts / f"{len(steps):02}-{_slug(step.group.name)}.md", report)
        if mode == COMMITTED:
            number = earlier + len(steps)
            branch = f"{prefix}/{number:02}-{_slug(step.group.name)}" if prefix is not None else ""
            _commit(step, workspace.snapshot, message, branch)
        print_row(Row(step.group.name, step.left), out)
        before, tree = step.left, series.tree
        if most is not None and len(steps) >= most:
            break
    staying = series.staying()
    if as_json:
        click.echo(series_json(steps, staying, series.start), nl=False)
    else:
        print_end(steps, staying, series.start, out)
    is_done = not any(step.by_hand for step in steps) and all(one.reason == EMPTIED for one in staying)
    return 0 if is_done else 1


def _check_clean(snapshot: Snapshot) -> None:
    """Refuse a dirty tree before the first step, not after the planning of one."""
    from torch_stabilize.repository import git

    changed = git.run(snapshot.root, "status", "--porcelain").output.decode("utf-8", "replace").splitlines()
    if changed:
        raise Refusal(f"the tree has uncommitted changes ({changed[0][3:]}): commit or stash them first", exit_code=2)


def _report(step: Step, tree: Snapshot, mode: str) -> Report:
    from torch_stabilize.explain import all_codes
    from torch_stabilize.report.view import Stage, build_report

    return build_report(step.plan, tree.read, all_codes(), stage=Stage(mode), request=step.group.name)


def _message(report: Report, before: object, step: Step) -> str:
    from torch_stabilize.report.series_view import commit_message
    from torch_stabilize.series.burn_down import Left

    assert isinstance(before, Left)
    return commit_message(report, before, step.left)


def _commit(step: Step, snapshot: Snapshot, message: str, branch: str) -> None:
    from torch_stabilize.writer import commit

    plan = replace(step.plan, group=step.group.name)
    commit(plan, snapshot, two_commits=False, message=message, branch=branch)


def _write_text(path: Path, report: Report) -> None:
    from torch_stabilize.cli.report_files import write_text
    from torch_stabilize.report.documents import report_markdown

    write_text(path, report_markdown(report))


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "group"
