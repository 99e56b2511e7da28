"""Python files as syntax trees, each parsed once for everybody who asks."""

from __future__ import annotations

import ast
import functools


@functools.lru_cache(maxsize=256)
def python_tree(data: bytes) -> ast.Module | None:
    """The syntax tree of a Python file, which nobody may change; None where this Python cannot read it."""
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
