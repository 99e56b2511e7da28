"""The command `torch-stabilize`: its verbs, each imported only when it is called, and what an error looks like."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from torch_stabilize import __version__
from torch_stabilize.cli.closest import closest
from torch_stabilize.model import Refusal
from torch_stabilize.report.printable import printable_line

PROGRAM = "torch-stabilize"
INTERNAL_ERROR = 3
INTERRUPTED = 130
_NESTING = 10_000  # frames: a chain of a thousand operators nests as deep in the tree
_OBJECTS_PER_COLLECTION = 1_000_000

# Verb -> its line in the overview: --help must not import the verbs to print them. A verb is the `command` of the
# module of its name.
VERBS = {
    "scan": "Every unstable site of a tree, and the groups to migrate it in.",
    "migrate": "Move a group of kernels to the stable ABI: show the diff, write it or commit it.",
    "series": "Every group, one after another: the steps and what is left, one commit or branch a group.",
    "retire": "Take out generated code that newer headers of torch make needless.",
    "verify": "Prove a migrated group: compile, symbols, device code, golden outputs.",
    "golden": "Record outputs of the legacy build, check the stable build against them.",
    "check": "For CI: no new unstable site; the allow-list may only shrink.",
    "explain": "The page of a diagnostic code.",
}


class _Ended(KeyboardInterrupt):
    """A signal that ends the process and lets it clean up."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order one uses them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb `cmd_name`, or None where there is no such verb."""
        if cmd_name not in VERBS:
            return None
        command = import_module(f"{__package__}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is called; an error names the verb that may have been meant."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"no such command: {args[0]}{closest(args[0], VERBS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the overview of the verbs."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.option(
    "-C",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Run as if started in DIR.",
)
def program(directory: Path | None) -> None:
    """Move a compiled PyTorch extension to the libtorch stable ABI, one kernel group at a time.

    \b
    Exit codes: 0 nothing left to do, 1 manual work or findings remain,
                2 wrong usage, 3 could not be done.
    """
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as error:
            raise Refusal(f"cannot enter {directory}: {error.strerror}", exit_code=2) from error


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Errors are one line on stderr, but for a bug's traceback."""
    stdout = sys.stdout
    try:
        result = program.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Refusal as refusal:
        return _fail(str(refusal), refusal.exit_code)
    except click.exceptions.NoArgsIsHelpError as usage:
        click.echo(usage.format_message(), err=True)
        return usage.exit_code
    except click.ClickException as error:
        return _fail(_usage(error), error.exit_code)
    except _Ended as ended:
        return _fail("terminated", 128 + ended.number)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED)
    except SystemExit:
        if sys.stdout is stdout:
            raise
        return 0  # click met the closed pipe, put a stdout that can be flushed in its place, and ends with 1
    except BrokenPipeError:  # `torch-stabilize ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except RecursionError:
        return _fail("code is nested too deeply to be read: split the expression", INTERNAL_ERROR)
    except Exception as error:
        traceback.print_exc()
        return _fail(f"internal error, please report it with the lines above: {error!r}", INTERNAL_ERROR)


def main() -> NoReturn:
    """The console script."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: what is half done is taken back, children are stopped
        signal.signal(number, _end)
    sys.setrecursionlimit(_NESTING)
    # A run makes many small objects and almost no cycles; looking for them as often as Python does takes a tenth of it.
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    _leave(run())


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # once is enough: what follows is the way back
    raise _Ended(number)


def _leave(exit_code: int) -> NoReturn:
    """End the process without freeing its objects one by one, which takes a twelfth of a run."""
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # nobody reads any more
        pass
    except OSError:  # the disk is full
        exit_code = exit_code or INTERNAL_ERROR
    os._exit(exit_code)


def _usage(error: click.ClickException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    return f"{message} (see `{context.command_path} --help`)" if context is not None else message


def _fail(message: str, exit_code: int) -> int:
    line = printable_line(" ".join(message.split()))
    click.echo(f"{PROGRAM}: {line}", err=True)
    return exit_code
