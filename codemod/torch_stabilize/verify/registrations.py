"""Python files of a migration that register what only Python can: fakes, backwards, kernels that autograd passes by.

A library is loaded with them, as its users do. Read here are those that need torch and the group's libraries alone;
what imports the rest of a project is left to the project's own tests.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from torch_stabilize.verify.trees import Tree

_REGISTERS = re.compile(rb"\btorch\.library\b|\bregister_(?:fake|autograd|kernel)\b")
_ALLOWED = frozenset({"torch", "numpy"})


class Registrations(NamedTuple):
    """The files to run after the libraries are loaded, before and after the migration, and those that cannot be."""

    before: tuple[Path, ...] = ()
    after: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()


def registrations(legacy: Tree, work: Tree, before: Collection[str], after: Collection[str]) -> Registrations:
    """The files that are new or changed since the migration; `before` and `after` are the names of the libraries."""
    was: list[Path] = []
    now: list[Path] = []
    left_out: list[str] = []
    for path in _changed(legacy, work):
        if not _needs_no_more(work.snapshot.read(path), after):
            left_out.append(path)
            continue
        now.append(work.snapshot.root / path)
        if legacy.snapshot.exists(path) and _needs_no_more(legacy.snapshot.read(path), before):
            was.append(legacy.snapshot.root / path)
    return Registrations(tuple(was), tuple(now), tuple(left_out))


def _changed(legacy: Tree, work: Tree) -> Iterator[str]:
    for path in work.snapshot.below("", (".py",)):
        text = work.snapshot.read(path)
        if not _REGISTERS.search(text):
            continue
        if not legacy.snapshot.exists(path) or legacy.snapshot.read(path) != text:
            yield path


def _needs_no_more(text: bytes, libraries: Collection[str]) -> bool:
    """Whether the file imports torch, the standard library and these libraries alone."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return all(_is_there(node, libraries) for node in ast.walk(tree))


def _is_there(node: ast.AST, libraries: Collection[str]) -> bool:
    if isinstance(node, ast.Import):
        return all(_is_known(alias.name) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        if node.level == 0 and _is_known(node.module or ""):
            return True
        return all(alias.name in libraries for alias in node.names)
    return True


def _is_known(module: str) -> bool:
    top = module.partition(".")[0]
    return top in _ALLOWED or top in sys.stdlib_module_names
