"""`torch-stabilize scan`: what is unstable, and in which groups to migrate it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch_stabilize.repository.layout import Layout
    from torch_stabilize.repository.snapshot import Snapshot


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option("--sites", "list_sites", is_flag=True, help="List every site as path:line:column.")
@click.option("--ops", "list_ops", is_flag=True, help="List every operator the tree registers, instead of the sites.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(path: Path, list_sites: bool, list_ops: bool, as_json: bool) -> int:
    """Show every unstable site in and below PATH by file and by op, and the groups to migrate them in.

    Exit code 1 says that there are unstable sites.
    """
    from torch_stabilize.cli.workspace import open_workspace, progress, tree_path
    from torch_stabilize.report.lines import lines
    from torch_stabilize.report.scan_view import build_scan_report, scan_json

    with progress("Reading the repository"):
        workspace = open_workspace(path, reads_only=True)
    snapshot, layout = workspace.snapshot, workspace.layout
    if list_ops:
        return _print_operators(snapshot, layout, as_json=as_json)

    from torch_stabilize.bindings.reading.registry import registry_of
    from torch_stabilize.explain import all_codes
    from torch_stabilize.model import DEFAULT_TARGET
    from torch_stabilize.program.groups import joined, suggest, without_staying
    from torch_stabilize.program.scan import scan_projects
    from torch_stabilize.report.scan_terminal import print_scan
    from torch_stabilize.report.scan_view import ops_by_function

    with progress("Looking for unstable sites"):
        scan = scan_projects(snapshot, (layout, *workspace.others), workspace.config)
        found = joined(
            without_staying(
                snapshot, one, suggest(snapshot, one, workspace.config), workspace.config.target or DEFAULT_TARGET
            )
            for one in (layout, *workspace.others)
        )
        ops = ops_by_function(registry_of(snapshot, layout).operators)
    within = tree_path(snapshot, path)
    report = build_scan_report(
        scan, found, ops, root=str(snapshot.root), within=within, with_cases=_groups_with_cases(snapshot)
    )
    if as_json:
        click.echo(scan_json(report, all_codes()), nl=False)
    else:
        print_scan(report, all_codes(), lines(), every_site=list_sites)
    return 1 if report.sites else 0


def _groups_with_cases(snapshot: Snapshot) -> frozenset[str]:
    """The folders of golden cases: golden/GROUP/."""
    return frozenset(path.split("/")[1] for path in snapshot.below("golden") if path.count("/") > 1)


def _print_operators(snapshot: Snapshot, layout: Layout, *, as_json: bool) -> int:
    from torch_stabilize.bindings.inventory import inventory
    from torch_stabilize.report.lines import lines
    from torch_stabilize.report.ops_view import ops_json, print_ops

    operators = inventory(snapshot, layout)
    if as_json:
        click.echo(ops_json(operators), nl=False)
    else:
        print_ops(operators, lines())
    return 0
