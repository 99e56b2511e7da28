"""Modules that an attribute of their package hides: `from .ext import run as ext` in the package's `__init__.py`."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterable, Iterator

from torch_stabilize.buildfiles.python.library import package_of
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot

_INIT = "__init__.py"
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def shadowed_modules(snapshot: Snapshot, layout: Layout, modules: Iterable[str]) -> frozenset[str]:
    """Those of `modules` whose package binds their name to something else: `from pkg import ext` gives that."""
    split = [(module, *module.rpartition(".")[::2]) for module in modules if "." in module]
    found = set()
    for path in snapshot.below(layout.project_root, (_INIT,)):
        if posixpath.basename(path) != _INIT:
            continue
        package = package_of(layout, path)
        names = {name: module for module, around, name in split if around == package}
        data = snapshot.read(path)
        if any(name.encode() in data for name in names) and (tree := python_tree(data)) is not None:
            found |= {names[name] for name in _bound(tree, package) if name in names}
    return frozenset(found)


def _bound(tree: ast.Module, package: str) -> Iterator[str]:
    """What the top level of a package's `__init__.py` binds, other than its modules under their own names."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            is_package = (node.level == 1 and not node.module) or (node.level == 0 and node.module == package)
            for alias in node.names:
                if not (is_package and alias.asname in (None, alias.name)):
                    yield alias.asname or alias.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if not isinstance(node, _OWN_SCOPE):
            waiting.extend(ast.iter_child_nodes(node))
