"""What the repository's own Python says a function writes: `custom_op(..., mutates_args=...)` around its call."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def mutated_arguments(snapshot: Snapshot, layout: Layout, name: str, arity: int) -> tuple[bool, ...]:
    """For each argument of `name` whether a custom op that calls it declares it as written; () where none says so.

    An argument that is no parameter of the custom op is not written as far as it says.
    """
    found = {
        marks
        for root in layout.python_roots or (layout.project_root,)
        for path in _with_custom_ops(snapshot, root)
        if name.encode() in snapshot.read(path)
        for function, mutated in _custom_ops(snapshot, path)
        for marks in _calls(function, mutated, name, arity)
    }
    return found.pop() if len(found) == 1 else ()


def _with_custom_ops(snapshot: Snapshot, root: str) -> tuple[str, ...]:
    """The Python files below `root` that may say what a custom op writes."""

    def read() -> tuple[str, ...]:
        return tuple(path for path in snapshot.below(root, (".py",)) if b"mutates_args" in snapshot.read(path))

    return snapshot.once((_with_custom_ops, root), read)


def _custom_ops(snapshot: Snapshot, path: str) -> list[tuple[_Function, frozenset[str]]]:
    return snapshot.once((_custom_ops, path), lambda: list(_read(snapshot.read(path))))


def _read(data: bytes) -> Iterator[tuple[_Function, frozenset[str]]]:
    tree = python_tree(data)
    for node in ast.walk(tree) if tree is not None else ():
        for decorator in node.decorator_list if isinstance(node, _Function) else ():
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else ()
            value = next((k.value for k in keywords if k.arg == "mutates_args"), None)
            if isinstance(value, (ast.Tuple, ast.List, ast.Set)) and isinstance(node, _Function):
                names = [item.value for item in value.elts if isinstance(item, ast.Constant)]
                yield node, frozenset(name for name in names if isinstance(name, str))


def _calls(function: _Function, mutated: frozenset[str], name: str, arity: int) -> Iterator[tuple[bool, ...]]:
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and _last(call.func) == name and len(call.args) == arity and not call.keywords:
            yield tuple(isinstance(value, ast.Name) and value.id in mutated for value in call.args)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
