"""What expressions of a setup file evaluate to, where that is written down: strings, paths, names with one value."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from codemod.buildfiles.python.syntax import FUNCTIONS, PythonFile, dotted_name, parameter_names

_ROOT = "/the folder of setup.py"  # what absolute paths start with
_DEPTH = 8
_JOIN = re.compile(r"(?:[\w.]*\bpath|osp)\.join|join")
_SAME = frozenset({"str", "Path", "pathlib.Path", "os.fspath", "fspath"})
_CALLED = re.compile(r"(?:[\w.]*\bpath|osp)\.(\w+)|(\w+)")
_GIVES_VALUE = frozenset({"append", "extend", "insert", "remove", "pop", "clear"})


@dataclass
class Bindings:
    """The statements that give names their values, by the function they belong to."""

    file: PythonFile
    _names: dict[str, list[ast.AST]] | None = field(default=None, repr=False)

    def of(self, name: str, at: ast.AST | None = None) -> list[ast.AST]:
        """Assignments and calls of methods that give `name` a value: those a node can see, or all of them."""
        if self._names is None:
            self._names = self._collect()
        found = self._names.get(name, [])
        if at is None:
            return found
        owner, arms = self._owner(name, at), self.arms(at)
        return [
            statement
            for statement in found
            if self._owner(name, statement) is owner
            and all(arms.get(around, is_body) == is_body for around, is_body in self.arms(statement).items())
        ]

    def arms(self, node: ast.AST) -> dict[ast.AST, bool]:
        """Each `if` around a node, and whether the node stands in its body; none in a loop, which may come back."""
        loops = [around for around in self.file.around(node) if isinstance(around, (ast.For, ast.AsyncFor, ast.While))]
        return dict(self.file.arms(loops[-1] if loops else node))

    def _owner(self, name: str, node: ast.AST) -> ast.AST:
        """The function whose variable `name` is at `node`, or the module."""
        scope = self.file.scope(node)
        while not isinstance(scope, ast.Module):
            if isinstance(scope, FUNCTIONS) and name in parameter_names(scope):
                return scope
            for statement in (self._names or {}).get(name, []):
                if not isinstance(statement, ast.Call) and self.file.scope(statement) is scope:
                    return scope
            scope = self.file.scope(scope)
        return scope

    def _collect(self) -> dict[str, list[ast.AST]]:
        found: dict[str, list[ast.AST]] = {}
        for assign in self.file.find(ast.Assign):
            for target in assign.targets:
                found.setdefault(dotted_name(target), []).append(assign)
        for annotated in self.file.find(ast.AnnAssign):
            if annotated.value is not None:
                found.setdefault(dotted_name(annotated.target), []).append(annotated)
        for augmented in self.file.find(ast.AugAssign):
            found.setdefault(dotted_name(augmented.target), []).append(augmented)
        for call in self.file.find(ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr in _GIVES_VALUE:
                found.setdefault(dotted_name(call.func.value), []).append(call)
        for statements in found.values():
            statements.sort(key=lambda node: self.file.span(node).start)
        return found


@dataclass(frozen=True)
class Values:
    """Evaluates expressions. `given` are the values of names at this place: a string, or the expression for it."""

    file: PythonFile
    bindings: Bindings
    given: Mapping[str, ast.AST | str] = field(default_factory=dict)

    def with_given(self, **given: str) -> Values:
        """The same where names have these values."""
        return replace(self, given={**self.given, **given})

    def string(self, node: ast.AST | None, depth: int = 0) -> str | None:
        """The string or path that an expression evaluates to, where it is written down; None elsewhere."""
        if depth > _DEPTH or node is None:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.JoinedStr):
            return self._formatted(node, depth)
        if isinstance(node, ast.BinOp):
            return self._combined(node, depth)
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        if isinstance(node, ast.Attribute):
            if dotted_name(node) in ("os.curdir", "os.path.curdir"):
                return "."
            held = self.string(node.value, depth + 1) if node.attr == "parent" else None
            return posixpath.dirname(held) if held is not None else None
        return self._named(node.id, node, depth) if isinstance(node, ast.Name) else None

    def _named(self, name: str, node: ast.AST, depth: int) -> str | None:
        if name == "__file__":
            return posixpath.basename(self.file.path)
        value = self.given.get(name)
        if isinstance(value, str):
            return value
        bound = self.bindings.of(name, node)
        if value is not None:
            return self.string(value, depth + 1) if not bound else None
        values = [b.value for b in bound if isinstance(b, (ast.Assign, ast.AnnAssign))]
        return self.string(values[0], depth + 1) if len(bound) == 1 and values else None

    def _combined(self, node: ast.BinOp, depth: int) -> str | None:
        left = self.string(node.left, depth + 1)
        if isinstance(node.op, ast.Mod) and left is not None:
            parts = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            values = [self.string(part, depth + 1) for part in parts]
            plain = left.count("%s") == len(values) == left.count("%")
            return left % tuple(values) if plain and None not in values else None
        right = self.string(node.right, depth + 1)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Div):
            return posixpath.join(left, right)
        return left + right if isinstance(node.op, ast.Add) else None

    def _formatted(self, node: ast.JoinedStr, depth: int) -> str | None:
        parts = []
        for part in node.values:
            value = self.string(part.value if isinstance(part, ast.FormattedValue) else part, depth + 1)
            if value is None:
                return None
            parts.append(value)
        return "".join(parts)

    def _called(self, node: ast.Call, depth: int) -> str | None:
        name = dotted_name(node.func)
        if name in ("os.getcwd", "Path.cwd", "pathlib.Path.cwd"):
            return _ROOT
        values = self._arguments(node, depth)
        if values and _JOIN.fullmatch(name):
            return posixpath.join(*values)
        if values and name in _SAME:
            return posixpath.join(*values)
        if values and (match := _CALLED.fullmatch(name)):
            return _of_path(match[1] or match[2], values)
        if not isinstance(node.func, ast.Attribute):
            return None
        held = self.string(node.func.value, depth + 1)
        if held is None or values is None:
            return None
        method = node.func.attr
        if method in ("resolve", "absolute"):
            return posixpath.join(_ROOT, held)
        if method == "joinpath":
            return posixpath.join(held, *values)
        return held if method == "as_posix" else None

    def _arguments(self, node: ast.Call, depth: int) -> list[str] | None:
        """The strings a call is given by place; `*name.split(".")` counts as its parts."""
        found: list[str] = []
        if any(keyword.arg is None for keyword in node.keywords):
            return None
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                values = self._split(argument.value)
            else:
                values = [self.string(argument, depth + 1)]
            if None in values:
                return None
            found += [value for value in values if value is not None]
        return found

    def _split(self, node: ast.AST) -> list[str | None]:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split":
            held = self.string(node.func.value)
            mark = self.string(node.args[0]) if len(node.args) == 1 else None
            if held is not None and mark:
                return list(held.split(mark))
        return [None]


def _of_path(function: str, values: list[str]) -> str | None:
    """What a function of os.path makes of paths."""
    if function in ("abspath", "realpath"):
        return posixpath.normpath(posixpath.join(_ROOT, values[0]))
    if function == "dirname":
        return posixpath.dirname(values[0])
    if function == "normpath":
        return posixpath.normpath(values[0])
    if function == "relpath":
        first, *starts = (posixpath.join(_ROOT, value) for value in values)
        return posixpath.relpath(first, starts[0] if starts else _ROOT)
    return None


def place(text: str, folder: str) -> str | None:
    """The repository path of `text`, a path as a setup file in `folder` writes it; None for one outside."""
    if text == _ROOT or text.startswith(_ROOT + "/"):
        text = text[len(_ROOT) + 1 :]
    found = posixpath.normpath(posixpath.join(folder, text))
    return None if found.startswith(("/", "..")) else found
