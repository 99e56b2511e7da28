"""The way up in a tree, and what the nodes around a node add up to.

What they add up to is kept for every node on the way: the next question may start below it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from tree_sitter import Node

Sum = TypeVar("Sum")
Known = dict[tuple[int, int], Sum]
_DEEP = 200  # nodes around a node, from where on the parents of its whole tree are kept
_OFTEN = 500  # questions, of which the last one looks how deep its node is
_parents: deque[dict[tuple[int, int], Node]] = deque(maxlen=2)  # of the last deep trees, which they keep alive
_asked = itertools.count(1)


def parent_of(node: Node) -> Node | None:
    """`node.parent`, which tree-sitter looks for from the root down: of deep trees all parents are found at once."""
    key = (node.id, node.start_byte)
    for known in _parents:
        if (found := known.get(key)) is not None:
            return found
    if next(_asked) % _OFTEN == 0:
        _look_up(node)
    return node.parent


def _look_up(node: Node) -> None:
    """Keep the parents of the tree of `node` where many nodes are around it."""
    root, steps = node, 0
    while (above := root.parent) is not None:
        root, steps = above, steps + 1
    if steps > _DEEP:
        _parents.append(_parents_below(root))


def _parents_below(root: Node) -> dict[tuple[int, int], Node]:
    found: dict[tuple[int, int], Node] = {}
    above, cursor = list[Node](), root.walk()
    while cursor.node is not None:
        above.append(cursor.node)
        is_inner = cursor.goto_first_child()
        while not is_inner and above:
            above.pop()
            if cursor.goto_next_sibling():
                break
            cursor.goto_parent()
        if not above:
            break
        found[cursor.node.id, cursor.node.start_byte] = above[-1]
    return found


def from_outside(node: Node, known: Known[Sum], nothing: Sum, add: Callable[[Node, Sum], Sum]) -> Sum:
    """`add` for each node from the root down to `node`, with what those around came to; `known` keeps it all."""
    inner: list[Node] = []
    found: Sum | None = None
    around: Node | None = node
    while around is not None and (found := known.get((around.id, around.start_byte))) is None:
        inner.append(around)
        around = parent_of(around)
    result = nothing if found is None else found
    for around in reversed(inner):
        known[around.id, around.start_byte] = result = add(around, result)
    return result
