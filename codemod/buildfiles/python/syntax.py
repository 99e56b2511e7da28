"""A Python file as a tree: nodes with their bytes, their statement and the conditions around them."""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar, cast

from codemod.model import Refusal, Span

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BOM = b"\xef\xbb\xbf"
_BLANK = rb"(?:\s|\\|#[^\n]*\n)*"
_OPENING = re.compile(rb"\(" + _BLANK + rb"\Z")
_CLOSING = re.compile(_BLANK + rb"\)")
_OF_CALL = re.compile(_BLANK + rb"\(")
NodeType = TypeVar("NodeType", bound=ast.AST)


@dataclass(frozen=True)
class PythonFile:
    """A parsed file. `data` is the bytes as read; spans count them."""

    path: str
    data: bytes
    module: ast.Module
    _lines: Sequence[int] = field(repr=False)  # where each line begins
    _parents: Mapping[ast.AST, ast.AST] = field(repr=False)

    def span(self, node: ast.AST) -> Span:
        """The bytes of `node` with its parentheses, without comments and white space around it."""
        start, end = self._place(node)
        if not isinstance(node, ast.expr):
            return Span(start, end)
        first = self._inside(node)
        while (closing := _CLOSING.match(self.data, end)) and (opening := _OPENING.search(self.data, first, start)):
            start, end = opening.start(), closing.end()
        return Span(start, end)

    def _place(self, node: ast.AST) -> tuple[int, int]:
        """Where `node` begins and ends without parentheses; a loop of a comprehension is where its target is."""
        if isinstance(node, ast.Module):
            return 0, len(self.data)
        if isinstance(node, ast.comprehension):
            node = node.target
        assert isinstance(node, (ast.expr, ast.stmt, ast.keyword, ast.arg, ast.alias, ast.excepthandler))
        last = node.end_lineno or node.lineno
        return self._lines[node.lineno - 1] + node.col_offset, self._lines[last - 1] + (node.end_col_offset or 0)

    def _inside(self, node: ast.expr) -> int:
        """Where parentheses of `node` may begin at the earliest: those of the call that it is given to are not its."""
        above = next(n for n in self.around(self._parents[node]) if isinstance(n, (ast.expr, ast.stmt, ast.keyword)))
        if isinstance(above, ast.Call) and above.func is not node:
            opening = _OF_CALL.match(self.data, self.span(above.func).end)
            return opening.end() if opening else len(self.data)
        return len(self.data) if isinstance(above, ast.ClassDef) else self._place(above)[0]

    def text(self, node: ast.AST) -> str:
        """The text of `node`."""
        return self.slice(self.span(node))

    def slice(self, span: Span) -> str:
        """The text of `span`."""
        return self.data[span.start : span.end].decode("utf-8", "surrogateescape")

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around `node`."""
        return self._parents.get(node)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """`node` and everything around it, inside out."""
        current: ast.AST | None = node
        while current is not None:
            yield current
            current = self._parents.get(current)

    def enclosing(self, node: ast.AST, kind: type[NodeType] | tuple[type[NodeType], ...]) -> NodeType | None:
        """The innermost node of `kind` around `node`, itself included."""
        return next((n for n in self.around(node) if isinstance(n, kind)), None)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The whole statement that `node` stands in; of `if x: f()`, which is one line, that is the `if`."""
        for candidate in self.around(node):
            if isinstance(candidate, ast.stmt):
                start = self._place(self.siblings(candidate)[0])[0]
                above = self._parents[candidate]
                if isinstance(above, ast.Module) or not self.data[self.line_start(start) : start].strip():
                    return candidate
        raise AssertionError("every expression stands in a statement")

    def siblings(self, statement: ast.stmt) -> Sequence[ast.stmt]:
        """The statements of the block that `statement` stands in, itself included."""
        above = self.parent(statement)
        blocks = (value for _, value in ast.iter_fields(above) if isinstance(value, list)) if above else ()
        return next((block for block in blocks if any(one is statement for one in block)), [statement])

    def scope(self, node: ast.AST) -> ast.AST:
        """The function or module that `node` stands in."""
        above = self.parent(node)
        while above is not None and not isinstance(above, (*FUNCTIONS, ast.Lambda, ast.Module)):
            above = self.parent(above)
        return above or self.module

    def conditions(self, node: ast.AST) -> tuple[str, ...]:
        """The tests of all `if` statements around `node`, outermost first; `not (...)` for an else arm."""
        found = []
        for condition, is_body in self.arms(node):
            test = self.text(condition.test)
            found.append(test if is_body else f"not ({test})")
        return tuple(reversed(found))

    def arms(self, node: ast.AST) -> Iterator[tuple[ast.If, bool]]:
        """Each `if` that `node` stands in an arm of, inside out, and whether that is its body."""
        below = node
        for around in self.around(node):
            if isinstance(around, ast.If) and below is not around and below is not around.test:
                yield around, any(below is one for one in around.body)
            below = around

    def line_start(self, offset: int) -> int:
        """Where the line of `offset` begins."""
        return self.data.rfind(b"\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """Behind the line end of the line of `offset`."""
        end = self.data.find(b"\n", offset)
        return len(self.data) if end < 0 else end + 1

    def indent(self, offset: int) -> str:
        """The white space that the line of `offset` begins with."""
        line = self.data[self.line_start(offset) : offset]
        return line[: len(line) - len(line.lstrip())].decode()

    @cached_property
    def _by_kind(self) -> dict[type[ast.AST], list[ast.AST]]:
        found: dict[type[ast.AST], list[ast.AST]] = {}
        for node in self._parents:
            found.setdefault(type(node), []).append(node)
        return found

    def find(self, kind: type[NodeType]) -> list[NodeType]:
        """Every node of `kind`, in file order."""
        by_kind = self._by_kind
        found = [node for known in by_kind if issubclass(known, kind) for node in by_kind[known]]
        return sorted(cast("list[NodeType]", found), key=self._place)

    def find_in(self, around: ast.AST, kind: type[NodeType]) -> list[NodeType]:
        """Every node of `kind` inside of a node, in file order."""
        start, end = self._place(around)
        return [node for node in self.find(kind) if start <= self._place(node)[0] < end]


def read_python(path: str, data: bytes, about: re.Pattern[bytes] | None = None) -> PythonFile:
    """Parse a Python file; with `about` only the statements of its top level that match it, and the imports, are there.

    Raises Refusal for a syntax error.
    """
    shift = len(_BOM) if data.startswith(_BOM) else 0
    try:
        module = parse_module(data)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise Refusal(f"cannot parse {path}: Python syntax error at line {line}") from error
    lines = [shift, *(shift + end for end in itertools.accumulate(map(len, data[shift:].splitlines(keepends=True))))]
    if about is not None:
        module.body = [statement for statement in module.body if _is_about(statement, about, data, lines)]
    return PythonFile(path, data, module, lines, _parents(module))


def parse_module(data: bytes) -> ast.Module:
    """The tree of a Python file. Raises SyntaxError, and ValueError for what is no text in UTF-8."""
    text = data.removeprefix(_BOM).decode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a file should not do is said where it is run
        return ast.parse(text)


def _is_about(statement: ast.stmt, about: re.Pattern[bytes], data: bytes, lines: Sequence[int]) -> bool:
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return True
    first = min([statement.lineno, *(node.lineno for node in getattr(statement, "decorator_list", ()))])
    last = statement.end_lineno or statement.lineno
    return about.search(data, lines[first - 1], lines[last]) is not None


def _parents(module: ast.Module) -> dict[ast.AST, ast.AST]:
    """The node around each node. The texts between the values of an f-string are no nodes of their own."""
    found: dict[ast.AST, ast.AST] = {}
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)):
                continue  # one object that stands for all of its kind
            if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
                found[child] = node
                waiting.append(child)
    return found


@dataclass(frozen=True)
class Argument:
    """An argument of a call: what it is called, "" for one by place, and the "*" or "**" in front of its value."""

    node: ast.expr | ast.keyword
    value: ast.expr
    keyword: str = ""
    star: str = ""


def arguments_of(call: ast.Call) -> list[Argument]:
    """The arguments of a call in file order."""
    found = [Argument(a, a.value, star="*") if isinstance(a, ast.Starred) else Argument(a, a) for a in call.args]
    found += [Argument(k, k.value, k.arg or "", "" if k.arg else "**") for k in call.keywords]
    return sorted(found, key=lambda argument: (argument.node.lineno, argument.node.col_offset))


def parameter_names(function: Function | ast.Lambda) -> list[str]:
    """The names of a function's parameters, those without a keyword first."""
    parameters = function.args
    return [p.arg for p in (*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs)]


def is_simple(statement: ast.AST) -> bool:
    """Whether a statement holds no others."""
    return isinstance(statement, ast.stmt) and not hasattr(statement, "body")


def is_element(above: ast.AST | None) -> bool:
    """Whether what stands right in the node `above` is an element of a literal list."""
    return isinstance(above, (ast.List, ast.Tuple, ast.Set))


def dotted_name(node: ast.AST | None) -> str:
    """`a.b.c` for a name or attribute chain, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted_name(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""
