"""What expressions of a setup file evaluate to, where that is written down: strings, paths, names with one value."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.python.syntax import PythonFile, dotted_name

if TYPE_CHECKING:
    import libcst as cst

_ABOVE = "/where the repository may begin"  # setup.py may name what is above of its folder
_ROOT = _ABOVE + "/some/folders/above/the folder of setup.py"  # what absolute paths start with
_DEPTH = 8
_JOIN = re.compile(r"(?:[\w.]*\bpath|osp)\.join|join")
_SAME = frozenset({"str", "Path", "pathlib.Path", "os.fspath", "fspath"})
_CALLED = re.compile(r"(?:[\w.]*\bpath|osp)\.(\w+)|(\w+)")
_GIVES_VALUE = frozenset({"append", "extend", "insert", "remove", "pop", "clear"})


@dataclass
class Bindings:
    """The statements that give names their values, by the function they belong to."""

    file: PythonFile
    _names: dict[str, list[cst.CSTNode]] | None = field(default=None, repr=False)

    def of(self, name: str, at: cst.CSTNode | None = None) -> list[cst.CSTNode]:
        """Assignments and calls of methods that give `name` a value: those a node can see, or all of them."""
        if self._names is None:
            self._names = self._collect()
        found = self._names.get(name, [])
        if at is None:
            return found
        owner, arms = self._owner(name, at), self.arms(at)
        seen = [
            statement
            for statement in found
            if self._owner(name, statement) is owner
            and all(arms.get(around, is_body) == is_body for around, is_body in self.arms(statement).items())
        ]
        return self._in_order(name, seen, at)

    def _in_order(self, name: str, statements: list[cst.CSTNode], at: cst.CSTNode) -> list[cst.CSTNode]:
        """Those statements that come before a node, from the last on that gives `name` a new value for certain."""
        scope, start, arms = self.file.scope(at), self.file.span(at).start, self.arms(at)
        if self._loop(at) is not None:
            return statements
        found: list[cst.CSTNode] = []
        for statement in statements:
            if self.file.scope(statement) is not scope or self._loop(statement) is not None:
                found.append(statement)
            elif self.file.span(statement).start < start:
                if self._replaces(statement, name) and self.arms(statement).items() <= arms.items():
                    found = []
                found.append(statement)
        return found

    def _loop(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The loop around a node in its function."""
        import libcst as cst

        scope = self.file.scope(node)
        loop = self.file.enclosing(node, (cst.For, cst.While))
        return loop if loop is not None and self.file.scope(loop) is scope else None

    def _replaces(self, statement: cst.CSTNode, name: str) -> bool:
        """Whether a statement gives `name` a value that is not made of the old one."""
        import libcst as cst

        if not isinstance(statement, (cst.Assign, cst.AnnAssign)) or statement.value is None:
            return False
        return not any(used.value == name for used in self.file.find_in(statement.value, cst.Name))

    def arms(self, node: cst.CSTNode) -> dict[cst.CSTNode, bool]:
        """Each `if` around a node, and whether the node is in its body; none in a loop, which may come back."""
        import libcst as cst

        found: dict[cst.CSTNode, bool] = {}
        below = node
        for around in self.file.around(node):
            if isinstance(around, cst.If) and below in (around.body, around.orelse):
                found[around] = below is around.body
            elif isinstance(around, (cst.For, cst.While)):
                found.clear()
            below = around
        return found

    def _owner(self, name: str, node: cst.CSTNode) -> cst.CSTNode:
        """The function whose variable `name` is at `node`, or the module."""
        import libcst as cst

        scope = self.file.scope(node)
        while not isinstance(scope, cst.Module):
            if isinstance(scope, cst.FunctionDef) and name in parameter_names(scope):
                return scope
            for statement in (self._names or {}).get(name, []):
                if not isinstance(statement, cst.Call) and self.file.scope(statement) is scope:
                    return scope
            scope = self.file.scope(scope)
        return scope

    def _collect(self) -> dict[str, list[cst.CSTNode]]:
        import libcst as cst

        found: dict[str, list[cst.CSTNode]] = {}
        for assign in self.file.find(cst.Assign):
            for target in assign.targets:
                for name in _names_in(target.target):
                    found.setdefault(name, []).append(assign)
        for annotated in self.file.find(cst.AnnAssign):
            if annotated.value is not None:
                found.setdefault(dotted_name(annotated.target), []).append(annotated)
        for augmented in self.file.find(cst.AugAssign):
            found.setdefault(dotted_name(augmented.target), []).append(augmented)
        for call in self.file.find(cst.Call):
            if isinstance(call.func, cst.Attribute) and call.func.attr.value in _GIVES_VALUE:
                found.setdefault(dotted_name(call.func.value), []).append(call)
        for deletion in self.file.find(cst.Del):
            for name in _changed_in(deletion.target):
                found.setdefault(name, []).append(deletion)
        for statements in found.values():
            statements.sort(key=lambda node: self.file.span(node).start)
        return found


def _names_in(target: cst.CSTNode) -> list[str]:
    """The names that an assignment to `target` gives a value."""
    import libcst as cst

    if isinstance(target, (cst.Tuple, cst.List)):
        return [name for element in target.elements for name in _names_in(element.value)]
    return _changed_in(target) or [dotted_name(target)]


def _changed_in(target: cst.CSTNode) -> list[str]:
    """The names of lists of which `target` is a part: `x[1:]`."""
    import libcst as cst

    if isinstance(target, cst.Tuple):
        return [name for element in target.elements for name in _changed_in(element.value)]
    return [dotted_name(target.value)] if isinstance(target, cst.Subscript) else []


def value_given(statement: cst.CSTNode, name: str) -> cst.CSTNode | None:
    """What an assignment gives to `name`: its value, or the part of it in `a, b = x, y`; None where nobody can tell."""
    import libcst as cst

    if not isinstance(statement, cst.Assign):
        return statement.value if isinstance(statement, (cst.AnnAssign, cst.AugAssign)) else None
    for target in statement.targets:
        if dotted_name(target.target) == name:
            return statement.value
        if name in _names_in(target.target):
            return _part_for(target.target, statement.value, name)
    return statement.value


def _part_for(target: cst.CSTNode, value: cst.CSTNode, name: str) -> cst.CSTNode | None:
    import libcst as cst

    if not isinstance(target, (cst.Tuple, cst.List)):
        return value
    if not isinstance(value, (cst.Tuple, cst.List)) or len(value.elements) != len(target.elements):
        return None
    pairs = [(to.value, given) for to, given in zip(target.elements, value.elements, strict=True)]
    if any(isinstance(given, cst.StarredElement) for _, given in pairs):
        return None
    return next((_part_for(to, given.value, name) for to, given in pairs if name in _names_in(to)), None)


def parameter_names(function: cst.FunctionDef) -> list[str]:
    """The names of a function's parameters, those without a keyword first."""
    parameters = function.params
    return [p.name.value for p in (*parameters.posonly_params, *parameters.params, *parameters.kwonly_params)]


@dataclass(frozen=True)
class Values:
    """Evaluates expressions. `given` are the values of names at this place: a string, or the expression for it."""

    file: PythonFile
    bindings: Bindings
    given: Mapping[str, cst.CSTNode | str] = field(default_factory=dict)

    def with_given(self, **given: str) -> Values:
        """The same where names have these values."""
        return replace(self, given={**self.given, **given})

    def string(self, node: cst.CSTNode | None, depth: int = 0) -> str | None:
        """The string or path that an expression evaluates to, where it is written down; None elsewhere."""
        import libcst as cst

        if depth > _DEPTH or node is None:
            return None
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
            value = node.evaluated_value
            return value if isinstance(value, str) else None
        if isinstance(node, cst.FormattedString):
            return self._formatted(node, depth)
        if isinstance(node, cst.BinaryOperation):
            return self._combined(node, depth)
        if isinstance(node, cst.Call):
            return self._called(node, depth)
        if isinstance(node, cst.Attribute):
            if dotted_name(node) in ("os.curdir", "os.path.curdir"):
                return "."
            held = self.string(node.value, depth + 1) if node.attr.value == "parent" else None
            return posixpath.dirname(held) if held is not None else None
        return self._named(node.value, node, depth) if isinstance(node, cst.Name) else None

    def _named(self, name: str, node: cst.CSTNode, depth: int) -> str | None:
        import libcst as cst

        if name == "__file__":
            return posixpath.basename(self.file.path)
        value = self.given.get(name)
        if isinstance(value, str):
            return value
        bound = self.bindings.of(name, node)
        if value is not None:
            return self.string(value, depth + 1) if not bound else None
        if len(bound) != 1 or not isinstance(bound[0], (cst.Assign, cst.AnnAssign)):
            return None
        return self.string(value_given(bound[0], name), depth + 1)

    def _combined(self, node: cst.BinaryOperation, depth: int) -> str | None:
        import libcst as cst

        left = self.string(node.left, depth + 1)
        if isinstance(node.operator, cst.Modulo) and left is not None:
            parts = [e.value for e in node.right.elements] if isinstance(node.right, cst.Tuple) else [node.right]
            values = [self.string(part, depth + 1) for part in parts]
            plain = left.count("%s") == len(values) == left.count("%")
            return left % tuple(values) if plain and None not in values else None
        right = self.string(node.right, depth + 1)
        if left is None or right is None:
            return None
        if isinstance(node.operator, cst.Divide):
            return posixpath.join(left, right)
        return left + right if isinstance(node.operator, cst.Add) else None

    def _formatted(self, node: cst.FormattedString, depth: int) -> str | None:
        import libcst as cst

        parts = []
        for part in node.parts:
            if isinstance(part, cst.FormattedStringText):
                parts.append(part.value)
                continue
            value = self.string(part.expression, depth + 1) if isinstance(part, cst.FormattedStringExpression) else None
            if value is None:
                return None
            parts.append(value)
        return "".join(parts)

    def _called(self, node: cst.Call, depth: int) -> str | None:
        import libcst as cst

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
        if not isinstance(node.func, cst.Attribute):
            return None
        held = self.string(node.func.value, depth + 1)
        if held is None or values is None:
            return None
        method = node.func.attr.value
        if method in ("resolve", "absolute"):
            return posixpath.join(_ROOT, held)
        if method == "joinpath":
            return posixpath.join(held, *values)
        return held if method == "as_posix" else None

    def _arguments(self, node: cst.Call, depth: int) -> list[str] | None:
        """The strings a call is given by place; `*name.split(".")` counts as its parts."""
        found: list[str] = []
        for argument in node.args:
            if argument.keyword is not None:
                continue
            values = [self.string(argument.value, depth + 1)] if not argument.star else self._split(argument.value)
            if None in values or argument.star == "**":
                return None
            found += [value for value in values if value is not None]
        return found

    def _split(self, node: cst.CSTNode) -> list[str | None]:
        import libcst as cst

        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "split":
            held = self.string(node.func.value)
            mark = self.string(node.args[0].value) if len(node.args) == 1 else None
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
    if text == _ROOT or text.startswith(_ABOVE):
        text = posixpath.relpath(text, _ROOT)
    found = posixpath.normpath(posixpath.join(folder, text))
    return None if found.startswith(("/", "..")) else found
