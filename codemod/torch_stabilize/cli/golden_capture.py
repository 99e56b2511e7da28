"""`torch-stabilize golden capture|suggest`: cases that nobody writes by hand."""

from __future__ import annotations

import json
from pathlib import Path

import click

_FOLDER = click.Path(file_okay=False, path_type=Path)
_COMMAND = "torch_stabilize.golden.command"
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class _Size(click.ParamType[int]):
    """A number of bytes: 500000, 300KB, 2MB."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes that the text `value` says."""
        if isinstance(value, int):
            return value
        text = str(value).strip().lower().removesuffix("b").removesuffix("i")
        number, unit = (text[:-1], text[-1]) if text[-1:] in ("k", "m", "g") else (text, "")
        try:
            return int(float(number) * _UNITS[unit])
        except ValueError:
            self.fail(f"{value!r} is no size like 2MB", param, ctx)


class _Watching(click.Command):
    """A command whose last arguments, behind "--", are another command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what is behind "--" out of the options and arguments here."""
        place = args.index("--") if "--" in args else len(args)
        ctx.meta[_COMMAND] = tuple(args[place + 1 :])
        return super().parse_args(ctx, args[:place])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage, with the command at its end."""
        return [*super().collect_usage_pieces(ctx), "-- COMMAND..."]


@click.command(cls=_Watching)
@click.argument("names", metavar="GROUP|FILE...", nargs=-1, required=True)
@click.option(
    "--callable",
    "callables",
    metavar="NAME",
    multiple=True,
    help="Watch this instead of what GROUP registers: ns::op, module:function, or module:function=ns::op.",
)
@click.option(
    "--legacy-library",
    "libraries",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The legacy build that outputs are recorded on.  [default: what the command loads]",
)
@click.option("--golden", "folder", metavar="DIR", default="golden", show_default=True, type=_FOLDER, help="Where to.")
@click.option("--size", metavar="SIZE", type=_Size(), default="2MB", show_default=True, help="Most bytes of contents.")
@click.option(
    "--vary", metavar="N", type=click.IntRange(0), default=200, show_default=True, help="Most variations of calls."
)
@click.option("--build-dir", metavar="DIR", type=_FOLDER, default="build/torch-stabilize", help="Where to work.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def capture(
    ctx: click.Context,
    names: tuple[str, ...],
    callables: tuple[str, ...],
    libraries: tuple[Path, ...],
    folder: Path,
    size: int,
    vary: int,
    build_dir: Path,
    as_json: bool,
) -> int:
    """Run COMMAND, a Python program on the legacy build, and keep its calls of GROUP's functions as golden cases.

    Operators and functions of pybind11 modules are watched; what they get is kept, what they do is recorded anew on
    the legacy library. Exit code 1 says that a function has no call, or that calls could not be kept: they are listed.
    """
    from torch_stabilize.report.lines import lines
    from torch_stabilize.verify.golden.capture.capture import Wish
    from torch_stabilize.verify.golden.capture.capture import capture as run
    from torch_stabilize.verify.golden.capture.targets import named_targets
    from torch_stabilize.verify.progress import counting
    from torch_stabilize.verify.result import Status, step_json
    from torch_stabilize.verify.table import print_steps

    command = ctx.meta[_COMMAND]
    if not command:
        raise click.UsageError("name the command to watch behind --, like: -- pytest tests", ctx)
    if callables:
        group, targets = names[0], named_targets(callables)
    else:
        from torch_stabilize.cli.workspace import open_tree
        from torch_stabilize.verify.golden.capture.group_targets import group_targets

        group, targets = group_targets(open_tree(), names, build_dir)
    wish = Wish(group, targets, command, folder, build_dir.resolve(), libraries, size, vary, Path.cwd())
    with counting("Making calls again") as progress:
        done = run(wish, progress)
    if as_json:
        document = step_json(done.step) | {"written": list(map(str, done.written)), "exit_code": done.exit_code}
        click.echo(json.dumps(document, indent=2, sort_keys=True))
    else:
        for path in done.written:
            click.echo(f"wrote {path}")
        if done.exit_code:
            click.echo(f"the command ended with {done.exit_code}: what it did until then is kept", err=True)
        print_steps((done.step,), lines())
    return 0 if done.step.status is Status.OK else 1


@click.command()
@click.argument("names", metavar="GROUP|FILE...", nargs=-1, required=True)
@click.option("--golden", "folder", metavar="DIR", default="golden", show_default=True, type=_FOLDER, help="Where to.")
@click.option("--build-dir", metavar="DIR", type=_FOLDER, default="build/torch-stabilize", help="Where to work.")
@click.option("--write", is_flag=True, help="Write GROUP/cases.toml, where there is none.")
def suggest(names: tuple[str, ...], folder: Path, build_dir: Path, write: bool) -> int:
    """Draft golden cases from what schemas, checks and dispatch macros of GROUP say of its arguments.

    A draft is a start: look at each shape and range before `golden record`.
    """
    from torch_stabilize.cli.report_files import write_text
    from torch_stabilize.cli.workspace import open_tree
    from torch_stabilize.model import Refusal
    from torch_stabilize.verify.golden.cases import CASES_FILE
    from torch_stabilize.verify.golden.suggest_group import suggest_group

    group, text = suggest_group(open_tree(), names, build_dir)
    if not write:
        click.echo(text, nl=False)
        return 0
    path = folder / group / CASES_FILE
    if path.exists():
        raise Refusal(f"{path} exists and is not overwritten", exit_code=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    click.echo(f"wrote {path}: look at each case, then `torch-stabilize golden record {group}`")
    return 0
