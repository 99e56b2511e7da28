"""Make functions that differ smaller, as long as the smaller ones differ in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.twins.difference import Difference
from tests.twins.program import Function

Compare = Callable[[Sequence[Function]], Sequence[Difference]]


def shrunk(differences: Sequence[Difference], compare: Compare, rounds: int = 12) -> list[Difference]:
    """Each difference with less of its function. `compare` gives what differs of the functions that it is handed."""
    smallest = {d.function.name: d for d in differences}
    open_ = set(smallest)
    for _ in range(rounds):
        tried: dict[str, str] = {}
        batch: list[Function] = []
        for name in sorted(open_):
            for number, smaller in enumerate(_some(smallest[name].function)):
                tried[new := f"{name}v{number}"] = name
                batch.append(smaller._replace(name=new))
        found: dict[str, Difference] = {}
        for other in compare(batch) if batch else ():
            name = tried[other.function.name]
            best = found.get(name)
            if other.what == smallest[name].what and (best is None or other.function.size < best.function.size):
                found[name] = other
        open_ = set(found)
        if not found:
            break
        for name, other in found.items():
            smallest[name] = other._replace(function=other.function._replace(name=name))
    return list(smallest.values())


def _some(function: Function, most: int = 40) -> list[Function]:
    """Smaller functions, the smallest first."""
    unique = {smaller.written(): smaller for smaller in function.smaller()}
    ordered = sorted((f for f in unique.values() if f.size < function.size), key=lambda f: f.size)
    step = max(1, len(ordered) // most)
    return ordered[::step][:most]
