"""`torch-stabilize verify`: the evidence that nothing but the ABI changed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from torch_stabilize.cli.plan_options import target_option
from torch_stabilize.cli.report_files import rendered, report_option, write_text

if TYPE_CHECKING:
    from torch_stabilize.verify.result import Verification

FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("names", metavar="GROUP|FILE...", nargs=-1, required=True)
@click.option(
    "--legacy",
    metavar="REVISION|DIR",
    help="The tree before the migration.  [default: the last commit in which the group is legacy]",
)
@target_option
@click.option("--build-dir", metavar="DIR", type=FOLDER, help="Where to build.  [default: build/torch-stabilize]")
@click.option("--golden", metavar="DIR", type=FOLDER, help="The folder with GROUP/cases.toml.  [default: golden]")
@click.option("--include", metavar="DIR", multiple=True, type=FOLDER, help="Another include folder, for both sides.")
@click.option("--define", metavar="NAME[=VALUE]", multiple=True, help="Another definition, for both sides.")
@click.option(
    "--compile-commands",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A compilation database with the project's own flags, as CMake and `ninja -t compdb` write it."
    "  [default: compile_commands.json of the project, else what its build files say]",
)
@click.option(
    "--build",
    "build_command",
    metavar="CMD",
    default="",
    help="The project's own build: runs in a copy of each side, with its compiler calls recorded; its libraries are"
    " compared.",
)
@click.option(
    "--legacy-library",
    metavar="FILE",
    multiple=True,
    type=_FILE,
    help="A finished library or wheel of the tree before the migration, instead of building it.",
)
@click.option(
    "--stable-library", metavar="FILE", multiple=True, type=_FILE, help="The same of the tree after the migration."
)
@click.option(
    "--torch",
    "torches",
    metavar="VERSION,...",
    default="",
    help="Check the stable library under these versions of torch too, each in an environment that is made for it; an"
    " interpreter that has one can be named as well.",
)
@click.option(
    "--torch-headers", metavar="DIR", type=FOLDER, help="Stable headers of another torch than the installed one."
)
@click.option(
    "--cuda-arch",
    metavar="ARCH",
    default="",
    help="GPU architecture to compile for.  [default: 90a, or a newer one that a unit asks for]",
)
@click.option(
    "--std", "standard", metavar="STD", default="c++20", show_default=True, help="C++ standard of both sides."
)
@click.option(
    "--skip",
    metavar="STEP",
    multiple=True,
    type=click.Choice(["symbols", "device-code", "launches", "operators", "golden-outputs"]),
    help="Leave a step out; the verdict names it, and without operators or golden-outputs nothing is proven.",
)
@click.option("-j", "--jobs", type=int, default=0, help="Parallel compilations.  [default: one per processor]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and no table.")
@report_option("Write the migration's report, with the result as its evidence")
def command(
    names: tuple[str, ...],
    legacy: str | None,
    target: str | None,
    build_dir: Path | None,
    golden: Path | None,
    include: tuple[Path, ...],
    define: tuple[str, ...],
    compile_commands: Path | None,
    build_command: str,
    legacy_library: tuple[Path, ...],
    stable_library: tuple[Path, ...],
    torches: str,
    torch_headers: Path | None,
    cuda_arch: str,
    standard: str,
    skip: tuple[str, ...],
    jobs: int,
    as_json: bool,
    report_file: Path | None,
) -> int:
    """Prove a migrated group: compile, symbols, device code, launches, operators, golden outputs.

    The stable side is the work tree, the legacy side the tree before the migration. Exit code 0 says that nothing
    differs and that operators and outputs were compared on a device that is here; what was not run is named. Exit code
    1 says that something differs, or that the group is not proven and why.
    """
    from torch_stabilize.cli.workspace import open_tree
    from torch_stabilize.report.lines import lines
    from torch_stabilize.verify.finished import OwnLibraries
    from torch_stabilize.verify.group import Request, verify_group
    from torch_stabilize.verify.progress import reporting
    from torch_stabilize.verify.side import BuildOptions
    from torch_stabilize.verify.sides import HeaderOptions
    from torch_stabilize.verify.table import print_verification
    from torch_stabilize.verify.torches import parse_torches

    request = Request(
        names,
        target,
        legacy,
        build_dir,
        golden,
        HeaderOptions(tuple(folder.resolve() for folder in include), torch_headers),
        BuildOptions(jobs, standard, cuda_arch),
        define,
        compile_commands.resolve() if compile_commands is not None else None,
        parse_torches(torches),
        OwnLibraries(legacy_library, stable_library, build_command),
        skip=frozenset(name.replace("-", " ") for name in skip),
        with_migration=report_file is not None,
    )
    with reporting() as progress:
        verification = verify_group(open_tree(), request, progress=progress)
    if report_file is not None:
        _write_report(verification, names, report_file)
    if as_json:
        click.echo(verification.to_json(), nl=False)
    else:
        print_verification(verification, lines())
    return 0 if verification.passed else 1


def _write_report(verification: Verification, names: tuple[str, ...], path: Path) -> None:
    """The report of the migration, done again on the tree before it; of the evidence alone where that cannot be."""
    from torch_stabilize.explain import all_codes
    from torch_stabilize.model import Plan
    from torch_stabilize.report.view import Stage, build_report

    made = verification.migration
    plan = made.plan if made is not None else Plan(verification.group, verification.target)
    codes = all_codes()
    report = build_report(
        plan,
        made.read if made is not None else lambda _: b"",
        codes,
        stage=Stage.WRITTEN,
        request=shlex.join(names),
        verification=verification,
    )
    write_text(path, rendered(report, path, codes))
