"""The operators that the repository's own Python defines: `custom_op("ns::f")`, `Library("ns", ...).define(...)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot

_MARKS = re.compile(rb"\b(?:custom_op|triton_op|define)\b")
_MAKERS = frozenset({"custom_op", "triton_op", "define"})
_QUALIFIED = re.compile(r"(?P<space>\w+)::(?P<name>\w+)")


def python_operators(snapshot: Snapshot, layout: Layout) -> frozenset[tuple[str, str]]:
    """Namespace and name of each, as far as they are literals or names of literals."""
    return frozenset(
        found
        for path in snapshot.below(layout.project_root, (".py",))
        if _MARKS.search(snapshot.read(path))
        for found in _operators(snapshot.read(path))
    )


def _operators(data: bytes) -> Iterator[tuple[str, str]]:
    tree = python_tree(data)
    if tree is None:
        return
    texts = dict(_assigned(tree))
    spaces = dict(_libraries(tree, texts))
    for call in ast.walk(tree):
        name = _last(call.func) if isinstance(call, ast.Call) else ""
        if not isinstance(call, ast.Call) or name not in _MAKERS or not call.args:
            continue
        text = _text(call.args[0], texts)
        if match := _QUALIFIED.match(text):
            yield match["space"], match["name"]
        elif isinstance(call.func, ast.Attribute) and (space := spaces.get(ast.dump(call.func.value), "")):
            yield space, re.split(r"\W", text)[0]  # my_library.define("f(Tensor x) -> Tensor")


def _assigned(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names of the top level that are literals."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            for target in statement.targets:
                if isinstance(target, ast.Name) and isinstance(statement.value.value, str):
                    yield target.id, statement.value.value


def _libraries(tree: ast.Module, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is assigned a `Library("ns", ...)`, as ast.dump writes it where it is used, and its namespace."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _last(node.value.func) == "Library":
            for target in node.targets if node.value.args else ():
                if isinstance(target, (ast.Name, ast.Attribute)):
                    target.ctx = ast.Load()
                    yield ast.dump(target), _text(node.value.args[0], texts)


def _text(node: ast.expr, texts: Mapping[str, str]) -> str:
    """The text of a literal, of the name of one, or of an f-string of both; "" for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.Name):
        return texts.get(node.id, "")
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, texts)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, texts) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left, texts) + _text(node.right, texts)
    return ""


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
