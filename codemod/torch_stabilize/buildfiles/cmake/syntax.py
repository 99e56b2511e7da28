"""A CMake file as commands: names, arguments with their places, and the blocks each command is in.

Nothing is evaluated here. Offsets count bytes of the file as it was read.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import tree_sitter_cmake
from tree_sitter import Language, Node, Parser

from torch_stabilize.model import Refusal, Span
from torch_stabilize.source.spans import line_end, line_start

VARIABLE = re.compile(r"\$\{([\w./+-]+)\}")  # a reference to one, and its name
_BLOCKS = {
    "if_condition": "if",
    "foreach_loop": "foreach",
    "while_loop": "while",
    "function_def": "function",
    "macro_def": "macro",
    "block_def": "block",
}
_COMMENTS = ("line_comment", "bracket_comment")
_ITEM = re.compile(rb"(?:\\.|\$<[^<>]*>|\$\{[^{}]*\}|[^;\\])+", re.DOTALL)
_OPERATORS = frozenset(
    ("AND", "OR", "NOT", "STREQUAL", "EQUAL", "LESS", "GREATER", "MATCHES", "DEFINED", "IN_LIST", "TARGET", "EXISTS")
)


@functools.cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_cmake.language()))


class Item(NamedTuple):
    """One element of a CMake list as written: `"a.cu;b.cu"` is one argument and two items."""

    span: Span
    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Argument:
    """An argument; `text` is without quotes, `span` with them."""

    span: Span
    text: str
    quoted: bool

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The elements it holds: one, where no semicolon parts it."""
        if ";" not in self.text and "\\" not in self.text:
            element = self.text.strip()
            return (Item(self.span, element, self.quoted),) if element else ()
        return tuple(_items(self.text.encode("utf-8", "surrogateescape"), self.span, self.quoted))


class Branch(NamedTuple):
    """One arm of an `if`: its header (`if(...)`, `elseif(...)`, `else()`) and what follows it."""

    keyword: str
    condition: str  # normalised text, "" for else()
    header: Span
    body: Span


@dataclass(frozen=True, eq=False)
class Block:
    """An `if`, loop, function, macro or block with its span from the opening to the closing command."""

    kind: str
    span: Span
    branches: tuple[Branch, ...]
    closing: Span
    arguments: tuple[str, ...] = ()  # of the opening command: a function's name and parameters


class Frame(NamedTuple):
    """The arm of a block that a command is in."""

    block: Block
    arm: int = 0

    @property
    def body(self) -> Span:
        """The bytes between this arm's header and the next one."""
        return self.block.branches[self.arm].body

    @property
    def conditions(self) -> tuple[str, ...]:
        """What must hold for this arm to run: its own condition, and that no earlier arm was taken."""
        if self.block.kind != "if":
            return ()
        earlier = tuple(f"NOT ( {branch.condition} )" for branch in self.block.branches[: self.arm])
        own = self.block.branches[self.arm].condition
        return (*earlier, own) if own else earlier


@dataclass(frozen=True, eq=False)
class Command:
    """A call. `name` is lower case; `frames` are the blocks around it, outermost first."""

    path: str
    name: str
    span: Span
    arguments: tuple[Argument, ...]
    frames: tuple[Frame, ...]

    @property
    def first(self) -> str:
        """The first argument, "" where there is none."""
        return self.arguments[0].text if self.arguments else ""

    @property
    def conditions(self) -> tuple[str, ...]:
        """Everything that must hold for the command to run."""
        return tuple(condition for frame in self.frames for condition in frame.conditions)

    @property
    def function(self) -> Block | None:
        """The innermost function or macro definition around the command."""
        for frame in reversed(self.frames):
            if frame.block.kind in ("function", "macro"):
                return frame.block
        return None


class CMakeFile(NamedTuple):
    """A parsed file: commands in file order, blocks, comments."""

    path: str
    data: bytes
    commands: tuple[Command, ...]
    blocks: tuple[Block, ...]
    comments: tuple[Span, ...]

    def text(self, span: Span) -> str:
        """The text of `span`."""
        return self.data[span.start : span.end].decode("utf-8", "surrogateescape")

    def line_start(self, offset: int) -> int:
        """Where the line of `offset` begins."""
        return line_start(self.data, offset)

    def line_end(self, offset: int) -> int:
        """Behind the line end of the line of `offset`."""
        return line_end(self.data, offset)

    def indent(self, offset: int) -> str:
        """The white space that the line of `offset` begins with."""
        start = self.line_start(offset)
        match = re.compile(rb"[ \t]*").match(self.data, start)
        assert match is not None
        return match.group().decode()


@functools.lru_cache(maxsize=64)
def read_cmake(path: str, data: bytes) -> CMakeFile:
    """Parse a CMakeLists.txt or *.cmake file, once for all. Raises Refusal where it has a syntax error."""
    root = _parser().parse(data).root_node
    if root.has_error:
        line = _first_error(root).start_point[0] + 1
        raise Refusal(f"cannot parse {path}: CMake syntax error at line {line}")
    commands: list[Command] = []
    blocks: list[Block] = []
    comments: list[Span] = []
    _walk(path, root, (), commands, blocks, comments)
    return CMakeFile(
        path,
        data,
        tuple(sorted(commands, key=lambda command: command.span.start)),
        tuple(sorted(blocks, key=lambda block: block.span.start)),
        tuple(sorted(comments)),
    )


def _first_error(node: Node) -> Node:
    for child in node.children:
        if child.is_error or child.is_missing:
            return child
        if child.has_error:
            return _first_error(child)
    return node


def _span(node: Node) -> Span:
    return Span(node.start_byte, node.end_byte)


def _walk(
    path: str,
    node: Node,
    frames: tuple[Frame, ...],
    commands: list[Command],
    blocks: list[Block],
    comments: list[Span],
) -> None:
    for child in node.named_children:
        kind = child.type
        if kind in _COMMENTS:
            comments.append(_span(child))
        elif kind == "normal_command":
            name = next(part for part in child.named_children if part.type == "identifier")
            text = (name.text or b"").decode().lower()
            arguments: list[Argument] = []
            for part in _descend(child, ("argument", *_COMMENTS)):
                if part.type == "argument":
                    arguments.append(_argument(part))
                else:
                    comments.append(_span(part))
            commands.append(Command(path, text, _span(child), tuple(arguments), frames))
        elif kind in _BLOCKS:
            block, bodies = _read_block(child)
            blocks.append(block)
            for arm, body in bodies:
                _walk(path, body, (*frames, Frame(block, arm)), commands, blocks, comments)
        elif kind == "body":
            _walk(path, child, frames, commands, blocks, comments)


def _descend(node: Node, types: tuple[str, ...]) -> Iterator[Node]:
    """The outermost nodes of `types` below a command."""
    for child in node.children:
        if child.type in types:
            yield child
        elif child.child_count:
            yield from _descend(child, types)


def _arguments(command: Node) -> tuple[Argument, ...]:
    return tuple(_argument(node) for node in _descend(command, ("argument",)))


def _argument(node: Node) -> Argument:
    text = (node.text or b"").decode("utf-8", "surrogateescape")
    quoted = text[:1] == '"'
    return Argument(_span(node), text[1:-1] if quoted else text, quoted)


def _items(inner: bytes, whole: Span, quoted: bool) -> Iterator[Item]:
    """The list elements of an argument that is at `whole` and is `inner` without its quotes."""
    base = whole.start + quoted
    for match in _ITEM.finditer(inner):
        if element := match.group().decode("utf-8", "surrogateescape").strip():
            is_whole = match.start() == 0 and match.end() == len(inner)
            span = whole if is_whole else Span(base + match.start(), base + match.end())
            yield Item(span, element, quoted and is_whole)


def _read_block(node: Node) -> tuple[Block, list[tuple[int, Node]]]:
    kind = _BLOCKS[node.type]
    headers = [part for part in node.children if part.type.endswith("_command") and not part.type.startswith("end")]
    closing = next(part for part in reversed(node.children) if part.type.startswith("end"))
    starts = [header.end_byte for header in headers]
    ends = [header.start_byte for header in headers[1:]] + [closing.start_byte]
    branches = []
    for header, start, end in zip(headers, starts, ends, strict=True):
        keyword = header.children[0].type
        condition = _condition(header) if keyword in ("if", "elseif") else ""
        branches.append(Branch(keyword, condition, _span(header), Span(start, end)))
    bodies = []
    for part in node.children:
        if part.type == "body":
            arm = sum(start <= part.start_byte for start in starts) - 1
            bodies.append((arm, part))
    arguments = tuple(argument.text for argument in _arguments(headers[0]))
    return Block(kind, _span(node), tuple(branches), _span(closing), arguments), bodies


def _condition(header: Node) -> str:
    """The condition with single spaces, operators in upper case, comments dropped."""
    words = []
    for token in _descend(header, ("argument", "(", ")")):
        text = (token.text or b"").decode("utf-8", "surrogateescape")
        upper = text.upper()
        is_operator = upper in _OPERATORS or upper.startswith("VERSION_") or upper.endswith("_EQUAL")
        words.append(upper if is_operator else text)
    return " ".join(words[1:-1])  # without the parentheses of the call
