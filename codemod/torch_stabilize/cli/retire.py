"""`torch-stabilize retire`: take out generated code that the headers of torch have by now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from torch_stabilize.cli.carry_out import Output, carry_out
from torch_stabilize.cli.plan_options import COMMITTED, SHOWN, WRITTEN, headers_option, target_option
from torch_stabilize.cli.report_files import report_option
from torch_stabilize.model import DEFAULT_TARGET


@click.command()
@click.option("--diff", "mode", flag_value=SHOWN, default=True, help="Print the diff and write nothing (default).")
@click.option("--write", "mode", flag_value=WRITTEN, help="Write the tree.")
@click.option("--commit", "mode", flag_value=COMMITTED, help="Write it and commit it.")
@target_option
@headers_option
@report_option("Write a report too")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and no diff.")
@click.option("--allow-dirty", is_flag=True, help="With --write: accept uncommitted changes in the tree.")
def command(
    mode: str, target: str | None, headers: str | None, report_file: Path | None, as_json: bool, allow_dirty: bool
) -> int:
    """Use what newer headers or a newer target have instead of what earlier runs generated.

    Calls of generated wrappers and helpers become calls of torch's own, and what nothing uses any more is removed.
    Exit code 1 says that something is left to do by hand; the report lists it.
    """
    if allow_dirty and mode != WRITTEN:
        raise click.UsageError("--allow-dirty needs --write.")
    from torch_stabilize.cli.workspace import open_workspace, progress
    from torch_stabilize.explain import all_codes
    from torch_stabilize.report.view import Stage, build_report
    from torch_stabilize.repository.building_torch import version_notes
    from torch_stabilize.retire.plan import plan_retirement

    with progress("Reading the repository"):
        workspace = open_workspace(reads_only=mode == SHOWN)
    chosen = target or workspace.config.target or DEFAULT_TARGET
    built = workspace.headers(chosen, headers)
    with progress("Looking for what torch has by now"):
        plan = plan_retirement(workspace.snapshot, workspace.layout, chosen, built.version, workspace.config)
    plan = replace(plan, diagnostics=(*plan.diagnostics, *version_notes(chosen, built)))
    codes, stage = all_codes(), Stage(mode)
    report = build_report(
        plan, workspace.snapshot.read, codes, stage=stage, request=_request(target, headers), verb="retire"
    )
    message = f"Use what the headers of torch {built.version} have"
    output = Output(codes, report_file, as_json=as_json)
    return carry_out(report, workspace.snapshot, output, allow_dirty=allow_dirty, message=message)


def _request(target: str | None, headers: str | None) -> str:
    given = (("--target", target), ("--headers", headers))
    return " ".join(f"{option} {value}" for option, value in given if value)
