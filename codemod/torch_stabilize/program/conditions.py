"""When two parts of a build are never built together."""

from __future__ import annotations

from torch_stabilize.buildfiles.cmake.logic import implies
from torch_stabilize.buildfiles.model import When


def are_exclusive(first: When, second: When) -> bool:
    """Whether two lists of conditions are known never to hold together."""
    if any(_negates(one, other) or _negates(other, one) for one in first for other in second):
        return True
    if not first or not second or not all(map(_is_cmake, (*first, *second))):
        return False
    return any(implies(first, [f"NOT ( {condition} )"], {}) for condition in second)


def _is_cmake(condition: str) -> bool:
    return "(" not in condition or condition.startswith("NOT (") or " " in condition


def _negates(one: str, other: str) -> bool:
    return one in (f"not ({other})", f"NOT ( {other} )")
