"""Strings and paths of a Python file, where they are written down: what `load` compiles, and under which name."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

_ROOT = "/tree"  # what absolute paths of the repository start with
_DEPTH = 8
_SAME = ("str", "Path", "pathlib.Path", "os.fspath", "fspath")
_FULL = ("abspath", "realpath")


@dataclass
class Paths:
    """Evaluates expressions of the file at `path`; a name counts where it has one value in the whole file."""

    path: str
    tree: ast.Module
    _names: dict[str, list[ast.expr]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
                targets = [node.target]
            value = getattr(node, "value", None)
            for target in targets:
                if isinstance(target, ast.Name) and isinstance(value, ast.expr):
                    self._names.setdefault(target.id, []).append(value)

    def value(self, node: ast.expr) -> ast.expr:
        """The value of a name, the expression itself elsewhere."""
        found = self._names.get(node.id, []) if isinstance(node, ast.Name) else []
        return found[0] if len(found) == 1 else node

    def string(self, node: ast.expr | None, depth: int = 0) -> str | None:
        """The string or path that an expression has, None where that is not written down."""
        if node is None or depth > _DEPTH:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            if node.id == "__file__":
                return f"{_ROOT}/{self.path}"
            value = self.value(node)
            return self.string(value, depth + 1) if value is not node else None
        if isinstance(node, ast.JoinedStr):
            parts = [self.string(p.value if isinstance(p, ast.FormattedValue) else p, depth + 1) for p in node.values]
            return None if None in parts else "".join(part or "" for part in parts)
        if isinstance(node, ast.BinOp):
            return self._combined(node, depth)
        if isinstance(node, ast.Attribute):
            held = self.string(node.value, depth + 1) if node.attr == "parent" else None
            return posixpath.dirname(held) if held is not None else None
        if isinstance(node, ast.Subscript):
            return self._above(node, depth)
        return self._called(node, depth) if isinstance(node, ast.Call) else None

    def _combined(self, node: ast.BinOp, depth: int) -> str | None:
        left, right = self.string(node.left, depth + 1), self.string(node.right, depth + 1)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Div):
            return posixpath.join(left, right)
        return left + right if isinstance(node.op, ast.Add) else None

    def _above(self, node: ast.Subscript, depth: int) -> str | None:
        """`path.parents[1]`."""
        held, place = node.value, node.slice
        if not isinstance(held, ast.Attribute) or held.attr != "parents" or not isinstance(place, ast.Constant):
            return None
        path = self.string(held.value, depth + 1)
        for _ in range(place.value + 1 if isinstance(place.value, int) and path is not None else 0):
            path = posixpath.dirname(path or "")
        return path

    def _called(self, node: ast.Call, depth: int) -> str | None:
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        given = [self.string(one, depth + 1) for one in node.args]
        values = [one for one in given if one is not None]
        if len(values) == len(given) and values:
            if last in ("join", "joinpath") or name in _SAME:
                held = self.string(node.func.value, depth + 1) if isinstance(node.func, ast.Attribute) else None
                return posixpath.join(*([held] if last == "joinpath" and held else []), *values)
            if last in _FULL or last == "normpath":
                return posixpath.normpath(values[0])
            if last == "dirname":
                return posixpath.dirname(values[0])
        if isinstance(node.func, ast.Attribute) and last in ("resolve", "absolute", "as_posix") and not node.args:
            return self.string(node.func.value, depth + 1)
        return None

    def place(self, text: str, exists: Mapping[str, object] | frozenset[str]) -> str | None:
        """The file of the repository that `text` means: one that `exists`, next to this file or below the root."""
        text = posixpath.normpath(text)
        if text.startswith(f"{_ROOT}/"):
            return text[len(_ROOT) + 1 :]
        if text.startswith("/"):
            return None
        near = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), text))
        return near if near in exists else text if text in exists else None
