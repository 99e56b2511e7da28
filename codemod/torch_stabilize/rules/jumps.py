"""Where `goto` leads: code that runs again, and code that is passed over."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node, Tree

from torch_stabilize.source.declarations import text_of


class Jump(NamedTuple):
    """A `goto`, and where its label is in the same function."""

    start: int
    end: int
    label: int


def jumps(tree: Tree) -> Iterator[Jump]:
    """The jumps of a tree; computed ones (`goto *p`) have no label and are left out."""
    return iter(_jumps(tree))


def end_of_turns(place: int, declared: int, tree: Tree) -> int:
    """Up to where code runs again before `place`, by a jump back to behind the declaration at `declared`; 0 where none does."""
    return max((jump.end for jump in jumps(tree) if declared < jump.label <= place < jump.start), default=0)


def is_passed_over(start: int, place: int, tree: Tree) -> bool:
    """Whether a jump leads to before `place` past what is at `start`."""
    return any(jump.start < start < jump.label <= place for jump in jumps(tree))


@functools.lru_cache(maxsize=1024)
def _jumps(tree: Tree) -> tuple[Jump, ...]:
    if b"goto" not in (tree.root_node.text or b""):
        return ()
    found: list[Jump] = []
    labels: dict[tuple[int, str], int] = {}
    gotos: list[tuple[int, Node]] = []
    waiting = [(tree.root_node, 0)]
    while waiting:
        node, function = waiting.pop()
        if node.type in ("function_definition", "lambda_expression"):
            function = node.id
        if node.type == "labeled_statement":
            labels[function, text_of(node.child_by_field_name("label") or node)] = node.start_byte
        elif node.type == "goto_statement":
            gotos.append((function, node))
        waiting += [(child, function) for child in node.named_children]
    for function, node in gotos:
        label = labels.get((function, text_of(node.child_by_field_name("label") or node)))
        if label is not None:
            found.append(Jump(node.start_byte, node.end_byte, label))
    return tuple(found)
