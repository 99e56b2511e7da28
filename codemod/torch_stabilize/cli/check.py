"""`torch-stabilize check`: what CI asks of a tree."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

import click

from torch_stabilize.model import Refusal

if TYPE_CHECKING:
    from torch_stabilize.config import Config
    from torch_stabilize.repository.layout import Layout
    from torch_stabilize.repository.snapshot import Snapshot


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--base",
    metavar="REVISION",
    help="Compare the allow-list with the one where this branch left REVISION.  [default: HEAD]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--sarif", "as_sarif", is_flag=True, help="Print SARIF, for code scanning.")
@click.option("--github", "as_github", is_flag=True, help="Print annotations for GitHub's log, and the figures.")
def command(paths: tuple[Path, ...], base: str | None, as_json: bool, as_sarif: bool, as_github: bool) -> int:
    """Fail where an unstable site is in a file of the stable side, or in one of the given PATHs.

    The stable side is the folder of migrated files, and what the build files compile for the stable ABI elsewhere.

    Sites on the allow-list pass; the allow-list itself may only shrink, and an entry that allows nothing fails. So does
    a site whose line has a comment `// torch-stabilize: allow NAME: REASON`.
    """
    if as_json + as_sarif + as_github > 1:
        raise click.UsageError("Give one of --json, --sarif and --github.")
    from torch_stabilize.checking.check import check
    from torch_stabilize.checking.view import check_json, print_annotations, print_check
    from torch_stabilize.cli.workspace import open_workspace, progress
    from torch_stabilize.explain import all_codes
    from torch_stabilize.layout.read import Program
    from torch_stabilize.program.abi import files_of_stable_libraries
    from torch_stabilize.program.scan import scan_tree
    from torch_stabilize.report.lines import lines
    from torch_stabilize.report.sarif import sarif

    with progress("Looking for unstable sites"):
        workspace = open_workspace(reads_only=True)
        program = Program(workspace.snapshot, workspace.config, workspace.layout.include_roots)
        built = files_of_stable_libraries(program)
        files = _files(workspace.snapshot, workspace.layout, built, paths)
        scan = scan_tree(workspace.snapshot, workspace.layout, workspace.config, built)
    codes = all_codes()
    before = _config_at(workspace.snapshot, workspace.config, base)
    result = check(scan, workspace.config, files, codes, base=before, read=workspace.snapshot.read)
    if as_json:
        click.echo(check_json(result), nl=False)
    elif as_sarif:
        click.echo(sarif([(finding, finding.place) for finding in result.findings], codes), nl=False)
    elif as_github:
        print_annotations(result, lines())
    else:
        print_check(result, lines())
    return 1 if result.findings else 0


def _files(snapshot: Snapshot, layout: Layout, built: Set[str], paths: Sequence[Path]) -> tuple[str, ...]:
    """The sources below the stable root, those `built` into stable libraries alone, and those below `paths`."""
    from torch_stabilize.cli.workspace import tree_path
    from torch_stabilize.source.document import SOURCE_SUFFIXES

    found = set(snapshot.below(layout.stable_root, SOURCE_SUFFIXES)) | built
    for path in paths:
        place = tree_path(snapshot, path)
        found |= {place} if path.is_file() else set(snapshot.below(place, SOURCE_SUFFIXES))
    return tuple(sorted(found))


def _config_at(snapshot: Snapshot, config: Config, revision: str | None) -> Config | None:
    """The settings where the branch left `revision`, None where there were none. Raises Refusal for an unknown one."""
    from torch_stabilize.config import load_config
    from torch_stabilize.repository import git

    wanted = revision or "HEAD"
    if not git.run(snapshot.root, "rev-parse", "--verify", "-q", f"{wanted}^{{commit}}").ok:
        if revision is None:
            return None  # nothing was ever committed
        shallow = git.run(snapshot.root, "rev-parse", "--is-shallow-repository").output.strip() == b"true"
        advice = " (this clone has no history: fetch it, or check out with fetch-depth: 0)" if shallow else ""
        raise Refusal(f"no such revision: {revision}{advice}", exit_code=2)
    if not config.source:
        return None
    common = git.run(snapshot.root, "merge-base", wanted, "HEAD")  # none in a shallow clone
    left = common.output.decode().strip() if common.ok else wanted
    shown = git.run(snapshot.root, "show", f"{left}:{config.source}")
    return load_config(snapshot.with_overlay({config.source: shown.output})) if shown.ok else None
