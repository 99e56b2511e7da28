"""A setup file as Python's own tree: for questions that need no text, before LibCST reads what is edited."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot

NodeType = TypeVar("NodeType", bound=ast.AST)


@dataclass(frozen=True)
class SetupTree:
    """A file and the node around each of its nodes, in the order in which `ast.walk` gives them."""

    module: ast.Module

    @cached_property
    def parents(self) -> Mapping[ast.AST, ast.AST]:
        """The node around each node."""
        parents: dict[ast.AST, ast.AST] = {}
        waiting: deque[ast.AST] = deque([self.module])
        while waiting:
            node = waiting.popleft()
            for child in ast.iter_child_nodes(node):
                parents[child] = node
                if not isinstance(child, (ast.Name, ast.Constant)):  # most nodes, and nothing is in them
                    waiting.append(child)
        return parents

    def find(self, kind: type[NodeType]) -> list[NodeType]:
        """Every node of `kind`."""
        return [node for node in self.parents if isinstance(node, kind)]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What is around `node`, inside out."""
        above = self.parents.get(node)
        while above is not None:
            yield above
            above = self.parents.get(above)

    def statement(self, node: ast.AST) -> ast.AST:
        """The statement of the top level that `node` is in, or is."""
        return [node, *self.around(node)][-2]  # around that is the module


def read_setup_tree(snapshot: Snapshot, path: str) -> SetupTree | None:
    """The setup file at `path`, parsed once for everybody who asks; None where this Python cannot read it."""

    def parse() -> SetupTree | None:
        tree = python_tree(snapshot.read(path))
        return SetupTree(tree) if tree is not None else None

    return snapshot.once((SetupTree, path), parse)


def last_name(node: ast.expr | None) -> str:
    """`c` of `a.b.c`, "" for what is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
