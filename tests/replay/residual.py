"""How much of a hand migration is left to do after the tool has run.

Distance is counted in tokens, comments and layout left out: the fewest insertions and deletions of tokens that turn one
file into the other. The residual of a unit is

    distance(what the tool wrote, what the maintainers wrote) / distance(legacy, what the maintainers wrote)

0 says that nothing is left to do, 1 that as much is left as at the start; above 1 the tool led away from the goal. The
releases differ by more than the migration (fixes, new features), so 0 cannot be reached.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_COMMENT_OR_TEXT = re.compile(
    rb"""(?P<comment>//(?:\\\r?\n|[^\n])*|/\*.*?\*/)|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')""",
    re.DOTALL | re.VERBOSE,
)
_TOKEN = re.compile(
    rb""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'|[A-Za-z_]\w*|\.?\d(?:[\w.]|'\w)*|<<<|>>>|::|->|[^\s\w]""", re.DOTALL
)


@dataclass(frozen=True)
class Residual:
    """Tokens left to change (`left`), and tokens the maintainers changed (`hand`)."""

    left: int
    hand: int

    @property
    def value(self) -> float:
        """The residual; 0 for a unit that nobody had to change and nobody did."""
        return self.left / self.hand if self.hand else float(self.left > 0)


def tokens(code: bytes) -> list[bytes]:
    """The tokens of C++ code, without comments; continued lines are joined."""
    plain = _COMMENT_OR_TEXT.sub(lambda match: b" " if match["comment"] else match.group(), code)
    return _TOKEN.findall(re.sub(rb"\\\r?\n", b" ", plain))


def distance(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """The fewest insertions and deletions that turn `one` into `other`."""
    from rapidfuzz.distance import Indel

    return int(Indel.distance(one, other))


def residual(legacy: bytes, tool: bytes, hand: bytes) -> Residual:
    """What the tool left to do of one unit."""
    goal = tokens(hand)
    return Residual(distance(tokens(tool), goal), distance(tokens(legacy), goal))


def median(residuals: Iterable[Residual]) -> float:
    """The middle of the residuals, between two of them where their number is even; 0 where there are none."""
    values = [one.value for one in residuals]
    return statistics.median(values) if values else 0.0
