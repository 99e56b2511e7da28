"""How far a long run is: a line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch_stabilize.verify.result import Step

Progress = Callable[[int, int], None]
EVERY = 30.0  # seconds at least between two lines of counts where there is no terminal


@contextmanager
def counting(text: str) -> Iterator[Progress | None]:
    """A function that shows how many of how many are done, or None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(text) as status:

        def show(done: int, total: int) -> None:
            status.update(f"{text}: {done} of {total}")

        yield show


@dataclass
class Reporter:
    """Reports the progress of a verification: `say` takes a whole line, `show` what the present step is at."""

    say: Callable[[str], None] = lambda line: None
    show: Callable[[str], None] = lambda text: None
    begun: float = field(default_factory=time.monotonic)
    doing: str = "Verifying"

    def __call__(self, done: int, total: int) -> None:
        """Show how many of how many are done."""
        self.show(f"{self.doing}: {done} of {total}")

    def line(self, text: str) -> None:
        """Tell something at once, with the seconds since the beginning."""
        self.say(f"[{time.monotonic() - self.begun:4.0f} s] {text}")

    def step(self, step: Step) -> None:
        """Tell how a step ended."""
        self.line(f"{step.name}: {step.status.value}, {step.summary}")


@contextmanager
def reporting() -> Iterator[Reporter]:
    """A reporter to stderr: lines, and on a terminal a status below them."""
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True)
        with console.status("Verifying") as status:
            yield Reporter(
                lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True), status.update
            )
        return
    last = time.monotonic()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def show(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > EVERY:
            last = time.monotonic()
            say(text)

    yield Reporter(say, show)
