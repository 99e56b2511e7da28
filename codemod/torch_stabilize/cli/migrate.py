"""`torch-stabilize migrate`: move a group to the stable ABI."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from torch_stabilize.cli.carry_out import Output, carry_out
from torch_stabilize.cli.plan_options import COMMITTED, SHOWN, WRITTEN, headers_option, target_option
from torch_stabilize.cli.report_files import report_option
from torch_stabilize.model import DEFAULT_TARGET, Refusal

if TYPE_CHECKING:
    from torch_stabilize.repository.snapshot import Snapshot

BUILD_SUFFIXES = (".py", ".toml", ".cmake", "CMakeLists.txt")


@click.command()
@click.argument("names", metavar="GROUP|FILE...", nargs=-1, required=True)
@click.option("--diff", "mode", flag_value=SHOWN, default=True, help="Print the diff and write nothing (default).")
@click.option("--write", "mode", flag_value=WRITTEN, help="Write the migrated tree.")
@click.option("--commit", "mode", flag_value=COMMITTED, help="Write it and commit it: the moves, then the edits.")
@target_option
@headers_option
@click.option("--compile", "compiled", is_flag=True, help="Let the compiler's front end read the stable units first.")
@click.option(
    "--in-place/--move",
    "in_place",
    default=None,
    help="Leave the files where they are, or move them to the stable folder.  [default: as configured, else as stable "
    "units are already, else --move]",
)
@report_option("Write a report too")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and no diff.")
@click.option("--allow-dirty", is_flag=True, help="With --write: accept uncommitted changes in the tree.")
def command(
    names: tuple[str, ...],
    mode: str,
    target: str | None,
    headers: str | None,
    compiled: bool,
    in_place: bool | None,
    report_file: Path | None,
    as_json: bool,
    allow_dirty: bool,
) -> int:
    """Move a group of kernels, or the given files, to the stable ABI.

    A GROUP is one that `scan` suggests or the configuration names. Exit code 1 says that something is left to do by
    hand; the report lists it.
    """
    if allow_dirty and mode != WRITTEN:
        raise click.UsageError("--allow-dirty needs --write.")
    from torch_stabilize.cli.workspace import open_workspace, progress
    from torch_stabilize.explain import all_codes
    from torch_stabilize.migration.in_place import with_way_in_place
    from torch_stabilize.migration.plan import Options, plan_migration
    from torch_stabilize.program.groups import resolve_group
    from torch_stabilize.report.view import Stage, build_report
    from torch_stabilize.repository.building_torch import version_notes
    from torch_stabilize.source.parsable import refuse_unparsable

    with progress("Reading the repository"):
        workspace = open_workspace(names=names, reads_only=mode == SHOWN)
        _check_whole(workspace.snapshot, names)
        group = resolve_group(workspace.snapshot, workspace.layout, workspace.config, names)
        for path in (*group.files, *group.shared_headers):
            refuse_unparsable(workspace.snapshot.document(path))
    with progress(f"Migrating {group.name}"):
        chosen = target or workspace.config.target or DEFAULT_TARGET
        built = workspace.headers(chosen, headers)
        options = Options(target=chosen, in_place=in_place, headers=built.version)
        plan = plan_migration(workspace.snapshot, workspace.layout, group, options, workspace.config)
        plan = replace(plan, diagnostics=(*plan.diagnostics, *version_notes(chosen, built)))
        plan = with_way_in_place(plan, workspace.snapshot, workspace.layout, group, options, workspace.config)
    if compiled:
        from torch_stabilize.verify.front_end import with_compiled

        with progress(f"Compiling {group.name}"):
            plan = with_compiled(plan, workspace.snapshot, workspace.layout, workspace.config, group)
    codes = all_codes()
    stage = Stage(mode)
    report = build_report(plan, workspace.snapshot.read, codes, stage=stage, request=shlex.join(names))
    output = Output(codes, report_file, as_json=as_json)
    return carry_out(report, workspace.snapshot, output, allow_dirty=allow_dirty)


def _check_whole(snapshot: Snapshot, names: tuple[str, ...]) -> None:
    """Refuse files of a submodule, and a sparse checkout that leaves out what a migration may have to edit."""
    from torch_stabilize.repository import git
    from torch_stabilize.source.document import SOURCE_SUFFIXES

    for name in names:
        path = posixpath.normpath(posixpath.join(snapshot.start, name))
        inside = next((folder for folder in snapshot.submodules if f"{path}/".startswith(f"{folder}/")), None)
        if inside is not None:
            raise Refusal(f"{name} is in the submodule {inside}, a repository of its own: run there", exit_code=2)
    wanted = [path for path in snapshot.absent if path.endswith((*SOURCE_SUFFIXES, *BUILD_SUFFIXES))]
    if wanted and git.is_sparse(snapshot.root):
        more = f" and {len(wanted) - 1} more" if len(wanted) > 1 else ""
        raise Refusal(f"{wanted[0]}{more} is tracked and left out by the sparse checkout: check out all files first")
