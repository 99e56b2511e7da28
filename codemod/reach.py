"""What can be reached step by step: includes of includes, headers that bring headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def reach(start: Iterable[str], step: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """`start` and all that `step` leads to from there, also over several steps."""
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(step(one))
    return frozenset(seen)
