"""Lines for the terminal: in colour where somebody looks at them, the same lines without it elsewhere."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from torch_stabilize.report.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

Cell = str | tuple[str, str]  # text, or text with its style


class Lines(Protocol):
    """Where lines go. None is ever broken: `path:line:column` has to stay in one piece."""

    def print(self, *cells: Cell, style: str = "") -> None:
        """Write one line; `style` is that of cells without one of their own."""


@dataclass(frozen=True)
class PlainLines:
    """Lines in a file or a pipe."""

    file: IO[str]

    def print(self, *cells: Cell, style: str = "") -> None:
        """Write the text of `cells`."""
        text = "".join(cell if isinstance(cell, str) else cell[0] for cell in cells)
        self.file.write(f"{printable(text)}\n")


@dataclass(frozen=True)
class ColouredLines:
    """Lines in a terminal."""

    console: Console

    def print(self, *cells: Cell, style: str = "") -> None:
        """Write `cells` in their styles."""
        from rich.text import Text

        safe = [printable(cell) if isinstance(cell, str) else (printable(cell[0]), cell[1]) for cell in cells]
        self.console.print(Text.assemble(*safe), style=style)


def lines(file: IO[str] | None = None, *, stderr: bool = False) -> Lines:
    """Lines in `file`, or on stdout or stderr. Rich is loaded for a terminal, or where FORCE_COLOR asks for it."""
    file = file or (sys.stderr if stderr else sys.stdout)
    if file.isatty() or os.environ.get("FORCE_COLOR"):
        return ColouredLines(rich_console(file))
    return PlainLines(file)


def rich_console(file: IO[str]) -> Console:
    """A console that never breaks a line."""
    from rich.console import Console

    return Console(file=file, soft_wrap=True, highlight=False, markup=False, emoji=False)
