"""`torch-stabilize golden record|check`: outputs of the legacy build, kept and compared with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from torch_stabilize.cli.golden_capture import capture, suggest
from torch_stabilize.verify.golden.cases import ALL_DEVICES

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_LIBRARY = click.option(
    "--library",
    "libraries",
    metavar="FILE",
    multiple=True,
    required=True,
    type=_FILE,
    help="A compiled extension to load. Give it once for each file; they are loaded in this order.",
)
_GOLDEN = click.option(
    "--golden",
    "folder",
    metavar="DIR",
    default="golden",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that holds GROUP/cases.toml and the recorded outputs.",
)

_DEVICE = click.option(
    "--device",
    metavar="DEVICE",
    type=click.Choice(ALL_DEVICES),
    help='Only cases of this device: cpu, cuda, or "cuda x2" for those of two ranks with a GPU each.',
)


@click.group()
def command() -> None:
    """Record outputs of the legacy build, check the stable build against them."""


command.add_command(capture)
command.add_command(suggest)


@command.command()
@click.argument("group")
@_LIBRARY
@_GOLDEN
@_DEVICE
@click.option("--force", is_flag=True, help="Overwrite what is recorded.")
@click.option("--partial", is_flag=True, help="Record the other cases where some crash or do not raise as they say.")
def record(
    group: str, libraries: tuple[Path, ...], folder: Path, device: str | None, force: bool, partial: bool
) -> int:
    """Run the cases of GROUP on the legacy library and keep what it does.

    Exit code 1 says that cases are left out, or that nothing is recorded because of them; they are listed.
    """
    from torch_stabilize.verify.golden.cases import load_group
    from torch_stabilize.verify.golden.session import record_group
    from torch_stabilize.verify.progress import counting

    file = load_group(folder, group).only(device)
    with counting("Running cases") as progress:
        written, faults = record_group(file, libraries, force=force, partial=partial, progress=progress)
    for path in written:
        click.echo(f"recorded {path}")
    for fault in faults:
        click.echo(f"cannot be recorded: {fault.message}", err=True)
    if faults and not written:
        click.echo("nothing recorded; --partial records the other cases", err=True)
    return 1 if faults else 0


@command.command()
@click.argument("group")
@click.option(
    "--library",
    "libraries",
    metavar="FILE",
    multiple=True,
    type=_FILE,
    help="A compiled extension to load. Give it once for each file; they are loaded in this order.",
)
@click.option(
    "--import",
    "modules",
    metavar="MODULE",
    multiple=True,
    help="A Python module to import then, for what it loads and registers: backwards, fakes.",
)
@_GOLDEN
@_DEVICE
@click.option("--python", metavar="FILE", help="Interpreter whose torch loads the library.  [default: this one]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    group: str,
    libraries: tuple[Path, ...],
    modules: tuple[str, ...],
    folder: Path,
    device: str | None,
    python: str | None,
    as_json: bool,
) -> int:
    """Run the cases of GROUP on the stable library and compare, bit for bit, with what is recorded.

    Exit code 1 says that something differs, or that nothing could be run.
    """
    from torch_stabilize.report.lines import lines
    from torch_stabilize.verify.golden.cases import load_group
    from torch_stabilize.verify.golden.session import check_group
    from torch_stabilize.verify.progress import counting
    from torch_stabilize.verify.result import Status, step_json
    from torch_stabilize.verify.table import print_steps

    if not libraries and not modules:
        raise click.UsageError("name what to load with --library or --import")
    file = load_group(folder, group).only(device)
    with counting("Running cases") as progress:
        step = check_group(file, libraries, python=python or sys.executable, modules=modules, progress=progress)
    if as_json:
        click.echo(json.dumps(step_json(step), indent=2, sort_keys=True))
    else:
        print_steps((step,), lines())
    return 0 if step.status is Status.OK else 1


@command.command()
@click.argument("group")
@click.option("--legacy", metavar="FILE", multiple=True, required=True, type=_FILE, help="The legacy library.")
@click.option("--stable", metavar="FILE", multiple=True, required=True, type=_FILE, help="The stable library.")
@_GOLDEN
@_DEVICE
@click.option("-k", "part", default="", metavar="TEXT", help="Only cases whose id has TEXT.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def overhead(
    group: str,
    legacy: tuple[Path, ...],
    stable: tuple[Path, ...],
    folder: Path,
    device: str | None,
    part: str,
    as_json: bool,
) -> int:
    """Time per call, stable against legacy, as ratios with their spread.

    The calls are the [[timing]] tables of GROUP's cases.toml, or its cases where it has none.
    """
    from dataclasses import asdict

    from torch_stabilize.verify.golden.cases import load_group
    from torch_stabilize.verify.golden.process import Worker
    from torch_stabilize.verify.golden.timing import measure_overhead

    file = load_group(folder, group)
    timed = file.timings or file.cases
    chosen = [case for case in timed if part in case.id and device in (None, case.device)]
    with Worker(legacy) as before, Worker(stable) as after:
        measured, crashed = measure_overhead(file, chosen, before, after)
    if as_json:
        click.echo(json.dumps([asdict(found) for found in measured], indent=2))
    else:
        click.echo("legacy us  stable us  ratio (lowest to highest)  case")
        for found in measured:
            spread = f"{found.ratio:5.3f} ({found.lowest:5.3f} to {found.highest:5.3f})"
            click.echo(f"{found.legacy:9.2f}  {found.stable:9.2f}  {spread:25}  {found.case}")
    for case, crash in crashed:
        click.echo(f"{case.id}: {crash.reason}", err=True)
    return 1 if crashed else 0
