"""How far a long step is, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(text: str) -> Iterator[Callable[[int, int], None] | None]:
    """A function that shows how many of how many are done, or None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(text) as status:

        def show(done: int, total: int) -> None:
            status.update(f"{text}: {done} of {total}")

        yield show
