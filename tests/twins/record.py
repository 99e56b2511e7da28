"""What was run so far, one line a batch: it can be summed up after a run that was done in pieces."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.twins.difference import Difference, Tally

_COLUMNS = (
    "commit",
    "what",
    "seed",
    "first",
    "functions",
    "invalid",
    "calls",
    "announced",
    "differences",
    "seconds",
    "kinds",
)


class Record:
    """The lines of a file; a batch adds one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []

    def add(self, what: str, seed: int, first: int, tally: Tally, fresh: Sequence[Difference], seconds: float) -> None:
        """A batch: what it came to, and the differences in it of kinds that the run had not seen."""
        kinds = "; ".join(sorted({d.kind for d in fresh}))
        counts = (tally.functions, tally.invalid, tally.calls, tally.announced, len(tally.differences), round(seconds))
        self.rows.append([_commit(), what, str(seed), str(first), *map(str, counts), kinds])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as out:
            out.write("\t".join(self.rows[-1]) + "\n")

    @property
    def last(self) -> str:
        """The last batch as a line to read."""
        return ", ".join(f"{name} {value}" for name, value in zip(_COLUMNS, self.rows[-1], strict=True) if value)

    def table(self) -> str:
        """A line for each kind of run, and how long the last functions ran without a new kind."""
        lines = ["| what | seeds | functions | invalid | calls | announced | differences | since the last new kind |"]
        lines.append("|---|---|---|---|---|---|---|---|")
        for what in dict.fromkeys(row[1] for row in self.rows):
            rows = [row for row in self.rows if row[1] == what]
            seeds = ", ".join(dict.fromkeys(row[2] for row in rows))
            sums = [sum(int(row[column]) for row in rows) for column in range(4, 9)]
            quiet = 0
            for row in rows:
                quiet = 0 if row[10] else quiet + int(row[4])
            lines.append(f"| {what} | {seeds} | " + " | ".join(map(str, sums)) + f" | {quiet} |")
        return "\n".join(lines)


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "-"
