"""Text of findings inside of Markdown and HTML: code in it is code, what looks like markup is shown as it is."""

from __future__ import annotations

import re

_CODE_SPAN = re.compile(r"(`[^`\n]+`)")
# An underscore within a word emphasises nothing.
_MARKUP = re.compile(r"[\\*<>|\[\]#~&`]|(?<!\w)_|_(?!\w)")
_RUN_OF_TICKS = re.compile(r"`+")


def split_help(help: str) -> tuple[str, str]:
    """The advice of a finding as words and the code that follows them, "" where there is none.

    Advice that ends its line with a colon introduces code: "add it to setup.py:\\nsources += [...]".
    """
    words, colon, code = help.partition(":\n")
    return (words + ":", code) if colon else (help, "")


def markdown(text: str) -> str:
    """`text` as Markdown that shows it as it is; code spans (`x`) stay code spans."""
    parts = _CODE_SPAN.split(text)
    return "".join(part if index % 2 else _MARKUP.sub(r"\\\g<0>", part) for index, part in enumerate(parts))


def spans(text: str) -> tuple[tuple[bool, str], ...]:
    """`text` in pieces, each with whether it is code; their backticks are left out."""
    parts = _CODE_SPAN.split(text)
    return tuple((index % 2 == 1, part[1:-1] if index % 2 else part) for index, part in enumerate(parts) if part)


def markdown_cell(text: str) -> str:
    """`text` in a cell of a table, where a bar ends the cell in code spans too."""
    return re.sub(r"(?<!\\)\|", r"\\|", markdown(text)).replace("\n", " ")


def markdown_code(text: str) -> str:
    """`text` as a code span, whatever backticks it holds."""
    ticks = "`" * (1 + max((len(run) for run in _RUN_OF_TICKS.findall(text)), default=0))
    space = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def markdown_block(code: str, indent: str) -> str:
    """`code` as a fenced block inside of a list item that is indented by `indent`."""
    ticks = "`" * max(3, 1 + max((len(run) for run in _RUN_OF_TICKS.findall(code)), default=0))
    return "\n".join(f"{indent}{line}".rstrip() for line in (ticks, *code.rstrip("\n").split("\n"), ticks))
