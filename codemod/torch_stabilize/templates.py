"""The files that are generated whole: found in a source checkout and in an installed wheel alike."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

_IN_WHEEL = Path(__file__).parent / "templates"
_IN_CHECKOUT = Path(__file__).parents[2] / "templates"


def template_root() -> Path:
    """The folder of the templates. Raises FileNotFoundError in a broken installation."""
    for folder in (_IN_WHEEL, _IN_CHECKOUT):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"no templates next to {Path(__file__).parent}; reinstall torch-stabilize")


def template(name: str) -> str:
    """The text of the template `name`, a path like "report/report.md.j2". Raises FileNotFoundError."""
    return (template_root() / name).read_text(encoding="utf-8")


def render(name: str, **values: object) -> str:
    """The Jinja template `name` filled with `values`.

    Values are escaped in templates named `*.html.j2` alone. Raises jinja2.TemplateNotFound for an unknown template and
    jinja2.UndefinedError for a value the template asks for that is not there.
    """
    return _environment().get_template(name).render(**values)


def filled(name: str, **words: str) -> str:
    """The template `name` with each `@word@` replaced: one that repeats and decides nothing needs no Jinja."""
    text = template(name)
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(template_root()),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
