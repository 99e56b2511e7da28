"""A Python file through LibCST: nodes with their bytes, their statement and the conditions around them.

LibCST is imported by the functions that need it: reading no Python file costs no import.
"""

from __future__ import annotations

import ast
import itertools
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from torch_stabilize.model import Refusal, Span
from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.source.spans import line_end, line_start

if TYPE_CHECKING:
    import libcst as cst

_BOM = b"\xef\xbb\xbf"
NodeType = TypeVar("NodeType", bound="cst.CSTNode")


@dataclass(frozen=True)
class PythonFile:
    """A parsed file. `data` is the bytes as read; spans count them."""

    path: str
    data: bytes
    module: cst.Module
    _spans: Mapping[cst.CSTNode, Any] = field(repr=False)
    _parents: Mapping[cst.CSTNode, cst.CSTNode] = field(repr=False)
    _shift: int = 0
    _ordered: dict[type[cst.CSTNode], tuple[list[cst.CSTNode], list[int]]] = field(default_factory=dict, repr=False)

    def span(self, node: cst.CSTNode) -> Span:
        """The bytes of `node` with its parentheses, without comments and white space around it."""
        place = self._spans[node]
        start, end = place.start + self._shift, place.start + place.length + self._shift
        parentheses = getattr(node, "lpar", ())  # LibCST leaves those of expressions out
        for _ in parentheses if isinstance(parentheses, (tuple, list)) else ():
            start = self.data.rindex(b"(", 0, start)
            end = self.data.index(b")", end) + 1
        return Span(start, end)

    def text(self, node: cst.CSTNode) -> str:
        """The text of `node`."""
        return self.slice(self.span(node))

    def slice(self, span: Span) -> str:
        """The text of `span`."""
        return self.data[span.start : span.end].decode("utf-8", "surrogateescape")

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node around `node`."""
        return self._parents.get(node)

    def around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """`node` and everything around it, inside out."""
        current: cst.CSTNode | None = node
        while current is not None:
            yield current
            current = self._parents.get(current)

    def enclosing(self, node: cst.CSTNode, kind: type[NodeType] | tuple[type[NodeType], ...]) -> NodeType | None:
        """The innermost node of `kind` around `node`, itself included."""
        return next((n for n in self.around(node) if isinstance(n, kind)), None)

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The whole statement that `node` is in."""
        import libcst as cst

        for candidate in self.around(node):
            if isinstance(candidate, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                return candidate
        return self.module

    def scope(self, node: cst.CSTNode) -> cst.CSTNode:
        """The function or module that `node` is in."""
        import libcst as cst

        above = self.parent(node)
        while above is not None and not isinstance(above, (cst.FunctionDef, cst.Lambda, cst.Module)):
            above = self.parent(above)
        return above or self.module

    def conditions(self, node: cst.CSTNode) -> tuple[str, ...]:
        """The tests of all `if` statements around `node`, outermost first; `not (...)` for an else arm."""
        import libcst as cst

        found: list[str] = []
        below: cst.CSTNode | None = None
        for current in self.around(node):
            if isinstance(current, cst.If) and below is not None:
                test = self.text(current.test)
                if below is current.body:
                    found.append(test)
                elif below is current.orelse:
                    found.append(f"not ({test})")
            below = current
        return tuple(reversed(found))

    def line_start(self, offset: int) -> int:
        """Where the line of `offset` begins."""
        return line_start(self.data, offset)

    def line_end(self, offset: int) -> int:
        """Behind the line end of the line of `offset`."""
        return line_end(self.data, offset)

    def indent(self, offset: int) -> str:
        """The white space that the line of `offset` begins with."""
        line = self.data[self.line_start(offset) : offset]
        return line[: len(line) - len(line.lstrip())].decode()

    @cached_property
    def _by_kind(self) -> dict[type[cst.CSTNode], list[cst.CSTNode]]:
        found: dict[type[cst.CSTNode], list[cst.CSTNode]] = {}
        for node in self._spans:
            found.setdefault(type(node), []).append(node)
        return found

    def find(self, kind: type[NodeType]) -> list[NodeType]:
        """Every node of `kind`, in file order."""
        return list(self._in_order(kind)[0])

    def _in_order(self, kind: type[NodeType]) -> tuple[list[NodeType], list[int]]:
        """Every node of `kind` in file order, and where each starts."""
        if kind not in self._ordered:
            by_kind = self._by_kind
            found = [node for known in by_kind if issubclass(known, kind) for node in by_kind[known]]
            found.sort(key=lambda node: self._spans[node].start)
            self._ordered[kind] = found, [self._spans[node].start for node in found]
        nodes, starts = self._ordered[kind]
        return cast("list[NodeType]", nodes), starts

    def find_in(self, around: cst.CSTNode, kind: type[NodeType]) -> list[NodeType]:
        """Every node of `kind` inside of a node, in file order."""
        place = self._spans[around]
        nodes, starts = self._in_order(kind)
        return nodes[bisect_left(starts, place.start) : bisect_left(starts, place.start + place.length)]


def read_python(path: str, data: bytes, only: Sequence[ast.stmt] | None = None) -> PythonFile:
    """Parse a Python file, or `only` these statements of its top level. Raises Refusal for a syntax error.

    LibCST takes its time; where few statements matter, the tree holds white space in place of the others.
    """
    import libcst as cst
    from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

    shift = len(_BOM) if data.startswith(_BOM) else 0
    try:
        module = cst.parse_module((data if only is None else _outline(data, only))[shift:])
    except (cst.ParserSyntaxError, SyntaxError, UnicodeDecodeError) as error:  # SyntaxError: an unknown encoding
        line = getattr(error, "raw_line", 1)
        raise Refusal(f"cannot parse {path}: Python syntax error at line {line}") from error
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    spans = wrapper.resolve(ByteSpanPositionProvider)
    return PythonFile(path, data, wrapper.module, spans, _parents(wrapper.module), shift)


def statements_about(data: bytes, words: re.Pattern[bytes]) -> list[ast.stmt] | None:
    """The imports, and the statements of the top level that hold one of `words`; None where this Python cannot tell."""
    tree = python_tree(data)
    if tree is None:
        return None  # LibCST says what is wrong, or knows newer syntax than this Python
    starts = _line_starts(data)
    imports = (ast.Import, ast.ImportFrom)
    return [s for s in tree.body if isinstance(s, imports) or words.search(data, *_lines_of(s, starts))]


def _outline(data: bytes, only: Sequence[ast.stmt]) -> bytes:
    """`data` with everything but the lines of `only` blanked; offsets stay what they were."""
    starts = _line_starts(data)
    if b"coding" in data[: starts[min(2, len(starts) - 1)]]:
        return data
    found, done = b"", 0
    for statement in only:
        start, end = _lines_of(statement, starts)
        found += _blank(data[done:start]) + data[max(start, done) : end]
        done = max(done, end)
    return found + _blank(data[done:])


def _line_starts(data: bytes) -> list[int]:
    return [0, *itertools.accumulate(map(len, data.splitlines(keepends=True)))]


def _lines_of(statement: ast.stmt, starts: Sequence[int]) -> tuple[int, int]:
    """Where the lines of a statement begin and end, its decorators included."""
    first = min([statement.lineno, *(node.lineno for node in getattr(statement, "decorator_list", ()))])
    return starts[first - 1], starts[statement.end_lineno or first]


def _blank(text: bytes) -> bytes:
    """White space as long as `text`, whose line end it keeps: one line, as lines cost LibCST time."""
    body = text.rstrip(b"\r\n")
    return b" " * len(body) + text[len(body) :]


def _parents(module: cst.Module) -> dict[cst.CSTNode, cst.CSTNode]:
    """The node around each node. LibCST's own provider rebuilds the tree for it, which takes most of a run."""
    import libcst as cst

    found: dict[cst.CSTNode, cst.CSTNode] = {}
    stack: list[cst.CSTNode] = [module]
    while stack:
        node = stack.pop()
        for name in node.__dataclass_fields__:
            value = getattr(node, name)
            for child in value if isinstance(value, (tuple, list)) else (value,):
                if isinstance(child, cst.CSTNode):
                    found[child] = node
                    stack.append(child)
    return found


def dotted_name(node: cst.CSTNode | None) -> str:
    """`a.b.c` for a name or attribute chain, "" for anything else."""
    import libcst as cst

    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        head = dotted_name(node.value)
        return f"{head}.{node.attr.value}" if head else ""
    return ""
