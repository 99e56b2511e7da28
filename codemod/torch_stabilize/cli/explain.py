"""`torch-stabilize explain`: the pages of the codes."""

from __future__ import annotations

import click

from torch_stabilize.cli.closest import closest
from torch_stabilize.model import Refusal


@click.command()
@click.argument("code", required=False)
@click.option("--all", "everything", is_flag=True, help="Print every page.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md"]),
    default="text",
    show_default=True,
    help="Text for the terminal, or Markdown.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(code: str | None, everything: bool, form: str, as_json: bool) -> None:
    """Print what CODE (like TSA201) means, what the tool does about it, and what is left to do by hand."""
    if everything == (code is not None):
        raise click.UsageError("Give one CODE, or --all.")
    from torch_stabilize import explain

    codes = explain.all_codes()
    wanted = tuple(codes.values())
    if code is not None:
        page = codes.get(code.upper())
        if page is None:
            likely = closest(code.upper(), codes)
            raise Refusal(f"no such code: {code}{likely} (`torch-stabilize explain --all` lists them)", exit_code=2)
        wanted = (page,)
    if as_json:
        click.echo(explain.pages_json(wanted), nl=False)
    elif form == "md":
        click.echo(explain.pages_markdown(wanted), nl=False)
    else:
        click.echo("\n".join(explain.page_text(page) for page in wanted), nl=False)
