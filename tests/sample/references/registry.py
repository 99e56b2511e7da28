"""What every op of the sample should do, said a second time in PyTorch.

A reference takes the arguments of its op and does the same to them: it writes to the arguments that the op writes to
and returns what the op returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reference:
    """A reference and how close the op has to come; None leaves the choice to torch.testing, by dtype."""

    function: Callable[..., Any]
    rtol: float | None = None
    atol: float | None = None


REFERENCES: dict[str, Reference] = {}


def reference(
    name: str, *, rtol: float | None = None, atol: float | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the reference of op `name`, "namespace::op"."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        REFERENCES[name] = Reference(function, rtol, atol)
        return function

    return register
