"""Reports that the user asked to be written to a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torch_stabilize.model import Refusal
from torch_stabilize.report.forms import FORMS

if TYPE_CHECKING:
    from torch_stabilize.codes import Code
    from torch_stabilize.report.view import Report

SUFFIXES = tuple(FORMS)


def report_option(help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `--report FILE`: a file whose suffix picks the form, and that can be written."""
    return click.option(
        "--report",
        "report_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_report_file,
        help=f"{help}; its suffix picks the form: {', '.join(SUFFIXES)}.",
    )


def _check_writable(path: Path) -> None:
    if not path.parent.is_dir():
        raise Refusal(f"cannot write {path}: there is no folder {path.parent}", exit_code=2)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Refusal(f"cannot write {path}: it is read-only")


def rendered(report: Report, path: Path, codes: Mapping[str, Code]) -> str:
    """`report` in the form that the suffix of `path` asks for."""
    return FORMS[path.suffix](report, codes)


def write_text(path: Path, text: str) -> None:
    """Write what the user asked for. Raises Refusal where that is not possible."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refusal(f"cannot write {path}: {error.strerror}") from error


def _report_file(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix not in SUFFIXES:
        raise click.BadParameter(f"{path.name} must end in {', '.join(SUFFIXES)}")
    if path is not None:
        _check_writable(path)  # before the run, not after it
    return path
