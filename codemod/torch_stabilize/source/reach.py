"""What can be reached step by step: includes of includes, headers that bring headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Reaching:
    """What each one leads to, itself included, over any number of steps; those in one circle share the answer."""

    def __init__(self, step: Callable[[str], Iterable[str]]) -> None:
        self._step = step
        self._known: dict[str, frozenset[str]] = {}

    def __call__(self, start: str) -> frozenset[str]:
        """`start` and all that it leads to."""
        if start not in self._known:
            self._walk(start)
        return self._known[start]

    def _walk(self, start: str) -> None:
        """Tarjan's circles, depth first: a circle is done when all that it leads to is."""
        order: dict[str, int] = {}
        low: dict[str, int] = {}
        open_ones: list[str] = []
        path = [(start, iter(tuple(self._step(start))))]
        order[start] = low[start] = 0
        open_ones.append(start)
        while path:
            one, rest = path[-1]
            for other in rest:
                if other in self._known:
                    continue
                if other not in order:
                    order[other] = low[other] = len(order)
                    open_ones.append(other)
                    path.append((other, iter(tuple(self._step(other)))))
                    break
                low[one] = min(low[one], order[other])  # it is on the way, or in a circle that is
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[one])
                if low[one] == order[one]:
                    self._close(open_ones, one)

    def _close(self, open_ones: list[str], one: str) -> None:
        """Take the circle of `one` from what is open, and keep what it leads to."""
        circle: list[str] = []
        while not circle or circle[-1] != one:
            circle.append(open_ones.pop())
        inside = set(circle)
        reached = inside.union(*(self._known[o] for member in circle for o in self._step(member) if o not in inside))
        shared = frozenset(reached)
        for member in circle:
            self._known[member] = shared


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
