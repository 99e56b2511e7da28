"""Options that verbs with a plan share: the torch that it is for, and what is done with it."""

from __future__ import annotations

import click

from torch_stabilize.model import DEFAULT_TARGET

SHOWN, WRITTEN, COMMITTED = "shown", "written", "committed"  # the values of report.view.Stage

target_option = click.option(
    "--target",
    metavar="VERSION",
    help=f"Oldest torch that has to run the binary.  [default: the configuration's, else {DEFAULT_TARGET}]",
)
headers_option = click.option(
    "--headers",
    metavar="VERSION",
    help="Torch whose headers build it.  [default: as configured, else as the build pins it, else what is installed]",
)
