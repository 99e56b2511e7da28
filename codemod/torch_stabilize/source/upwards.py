"""What the nodes around a node add up to, kept for every node on the way: the next question may start below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tree_sitter import Node

Sum = TypeVar("Sum")
Known = dict[tuple[int, int], Sum]


def from_outside(node: Node, known: Known[Sum], nothing: Sum, add: Callable[[Node, Sum], Sum]) -> Sum:
    """`add` for each node from the root down to `node`, with what those around came to; `known` keeps it all."""
    inner: list[Node] = []
    found: Sum | None = None
    around: Node | None = node
    while around is not None and (found := known.get((around.id, around.start_byte))) is None:
        inner.append(around)
        around = around.parent
    result = nothing if found is None else found
    for around in reversed(inner):
        known[around.id, around.start_byte] = result = add(around, result)
    return result
