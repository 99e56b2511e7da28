"""The way up in a tree: the parents that are kept for deep trees are those that tree-sitter names."""

from __future__ import annotations

import pytest
from torch_stabilize.source import upwards
from torch_stabilize.source.document import Document
from torch_stabilize.source.upwards import from_outside, parent_of
from tree_sitter import Node


def _all_below(root: Node) -> list[Node]:
    found, waiting = list[Node](), [root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += node.children
    return found


@pytest.mark.parametrize("depth", [3, 300])
def test_the_parent_of_every_node(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every question looking how deep its node is, which finds the parents of a deep tree at once."""
    monkeypatch.setattr(upwards, "_OFTEN", 1)
    upwards._parents.clear()
    document = Document("a.cpp", f"int f(int n) {{ return {'(' * depth}n + 1{')' * depth}; }}\n".encode())
    root = document.whole.tree.root_node
    nodes = _all_below(root)
    deepest = max(nodes, key=lambda node: node.start_byte)
    for node in [deepest, *nodes]:
        assert parent_of(node) == node.parent
    innermost = next(node for node in nodes if node.type == "binary_expression")
    assert parent_of(innermost) == innermost.parent
    assert len(upwards._parents) == (1 if depth > 200 else 0), "a shallow tree is not worth a table"
    upwards._parents.clear()


def test_what_the_nodes_around_add_up_to_is_asked_once_for_each() -> None:
    document = Document("a.cpp", b"namespace a { namespace b { int x; int y; } }\n")
    asked: list[str] = []

    def spaces(node: Node, outer: tuple[str, ...]) -> tuple[str, ...]:
        asked.append(node.type)
        name = node.child_by_field_name("name")
        is_space = node.type == "namespace_definition" and name is not None and name.text is not None
        return (*outer, name.text.decode()) if is_space and name is not None and name.text is not None else outer

    known: upwards.Known[tuple[str, ...]] = {}
    x, y = (n for n in _all_below(document.whole.tree.root_node)[::-1] if n.text in (b"x", b"y") and not n.children)
    assert from_outside(x, known, (), spaces) == ("a", "b")
    asked.clear()
    assert from_outside(y, known, (), spaces) == ("a", "b")
    assert asked == ["declaration", "identifier"], "what is around both is known from the first question"
