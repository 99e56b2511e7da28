"""One C++ or CUDA file, read once: its bytes, its syntax tree, and its macro bodies as code of their own.

Tree-sitter sees the body of a `#define` as opaque text, yet a third of the real sites stand there. Each body is parsed
a second time with its line continuations and `##` replaced by as many other bytes, so that every offset in the second
tree is an offset in the file less `Fragment.base`.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import tree_sitter_cpp
import tree_sitter_cuda
from tree_sitter import Language, Node, Parser, Tree

from torch_stabilize.model import Span
from torch_stabilize.source.mask import mask, mask_comments
from torch_stabilize.source.spans import line_start

CPP_SUFFIXES = (".cpp", ".cc", ".cxx", ".c++")
CUDA_SUFFIXES = (".cu", ".cuh")
HEADER_SUFFIXES = (".h", ".hpp", ".hh", ".hxx", ".inc", ".inl")
ANY_HEADER = (*HEADER_SUFFIXES, ".cuh")
SOURCE_SUFFIXES = CPP_SUFFIXES + CUDA_SUFFIXES + HEADER_SUFFIXES
UNIT_SUFFIXES = (*CPP_SUFFIXES, ".cu")

Read = TypeVar("Read")

_WORDS = bytes(byte if chr(byte).isalnum() or byte == ord("_") else ord(" ") for byte in range(128)) + b" " * 128
_WORD = re.compile(rb"\w+")
_CONTINUATION = re.compile(rb"\\(\r?)\n")
_BLANKS_BEHIND = re.compile(rb"\\([ \t]+)(?=\r?\n)")
_VA_OPT = re.compile(rb"\b(__VA_OPT__[ \t]*\()([^()]*)\)")
_DEFINE = re.compile(
    rb"#[ \t]*define[ \t]+(?P<name>[A-Za-z_]\w*)(?P<params>\([^)]*\))?(?P<body>[^\n\r\\]*(?:\\(?:\r?\n)?[^\n\r\\]*)*)"
)
# A macro body may be statements, an expression or declarations; each is tried in a frame that makes it parse.
_FRAMES = ((b"void _(){", b"\n;}"), (b"auto _=[&]{return ", b"\n;};"), (b"", b"\n"), (b"void _(){switch(0){", b"\n}}"))


@functools.cache
def _parser(cuda: bool) -> Parser:
    language = tree_sitter_cuda.language() if cuda else tree_sitter_cpp.language()
    return Parser(Language(language))


def parse_code(text: bytes, *, cuda: bool) -> Tree:
    """The syntax tree of `text` in the CUDA or the C++ grammar."""
    return _parser(cuda).parse(text)


def lines_matching(pattern: re.Pattern[bytes], code: bytes) -> Iterator[tuple[int, re.Match[bytes]]]:
    """The preprocessor lines of masked `code` that `pattern` matches from their `#` on, and where each line starts.

    A search for `#` passes over the bytes between; one for line starts would try `pattern` at every one of them.
    """
    place = 0
    while match := pattern.search(code, place):
        start = line_start(code, match.start())
        if code[start : match.start()].strip(b" \t"):
            place = match.start() + 1
            continue
        yield start, match
        place = match.end()


class Fragment(NamedTuple):
    """A parsed stretch of a file: the whole of it (`base` 0) or one macro body.

    A node's place in the file is its byte offset plus `base`. `end` is where the fragment ends in the file.
    """

    tree: Tree
    base: int
    end: int
    macro: Macro | None = None

    def span(self, node: Node) -> Span:
        """Where `node` is in the file."""
        return Span(node.start_byte + self.base, node.end_byte + self.base)

    def node_at(self, span: Span) -> Node | None:
        """The smallest node that covers `span` of the file."""
        return self.tree.root_node.descendant_for_byte_range(span.start - self.base, span.end - self.base)


class Macro(NamedTuple):
    """`#define name(params) body`; `params` is None for a macro that takes no argument list."""

    name: str
    params: tuple[str, ...] | None
    span: Span
    body: Span


def words_of(code: bytes) -> frozenset[bytes]:
    """The names, keywords and numbers of masked `code`."""
    return frozenset(code.translate(_WORDS).split())


@dataclass(frozen=True)
class Document:
    """A source file. `path` is relative to the repository's root; its suffix picks the grammar."""

    path: str
    data: bytes

    @property
    def is_cuda(self) -> bool:
        """Headers count as CUDA too: the CUDA grammar is a superset that copes with `<<<>>>` and attributes."""
        return not self.path.endswith(CPP_SUFFIXES)

    @cached_property
    def code(self) -> bytes:
        """The bytes with comments and literals blanked; offsets are the file's."""
        return mask(self._joined)

    @cached_property
    def uncommented(self) -> bytes:
        """The bytes with comments blanked."""
        return mask_comments(self._joined)

    @cached_property
    def words(self) -> frozenset[bytes]:
        """The names and keywords of the code, and its numbers."""
        return words_of(self.code)

    @cached_property
    def names(self) -> frozenset[str]:
        """`words` as text, those that are ASCII."""
        return frozenset(word.decode() for word in self.words)

    @cached_property
    def whole(self) -> Fragment:
        """The file as one fragment; its macro bodies are opaque in it."""
        return Fragment(parse_code(self._joined, cuda=self.is_cuda), 0, len(self.data))

    @cached_property
    def _joined(self) -> bytes:
        """The bytes with blanks between a backslash and the end of its line put in front: compilers overlook them."""
        if b"\\ " not in self.data and b"\\\t" not in self.data:
            return self.data
        return _BLANKS_BEHIND.sub(rb"\1\\", self.data)

    @cached_property
    def macros(self) -> tuple[Macro, ...]:
        """Every `#define` with a body, in file order."""
        return tuple(self._macros())

    def _macros(self) -> Iterator[Macro]:
        for start, match in lines_matching(_DEFINE, self.code):
            body = Span(*match.span("body"))
            if not match.group("body").strip(b" \t\\\r\n"):
                continue
            names = match.group("params")
            params = None
            if names is not None:
                params = tuple(
                    p.strip().decode("utf-8", "replace")
                    for p in names[1:-1].replace(b"\\", b" ").split(b",")
                    if p.strip()
                )
            yield Macro(match.group("name").decode(), params, Span(start, match.end()), body)

    def _parse_body(self, macro: Macro) -> Fragment:
        text = self._joined[macro.body.start : macro.body.end]
        text = _CONTINUATION.sub(lambda m: b" " + m.group(1) + b"\n", text).replace(b"##", b"__")
        text = re.sub(rb"#(?=[ \t]*[A-Za-z_])", b" ", text)
        text = _VA_OPT.sub(lambda m: b" " * len(m[1]) + m[2] + b" ", text)
        best: Tree | None = None
        best_frame = 0
        fewest = -1
        for head, tail in _FRAMES:
            tree = parse_code(head + text + tail, cuda=self.is_cuda)
            errors = _error_bytes(tree.root_node) if tree.root_node.has_error else 0
            if best is None or errors < fewest:
                best, best_frame, fewest = tree, len(head), errors
            if errors == 0:
                break
        assert best is not None
        return Fragment(best, macro.body.start - best_frame, macro.body.end, macro)

    def fragment_at(self, offset: int) -> Fragment:
        """The macro body that holds `offset`, or the whole file."""
        macro = self.macro_at(offset)
        if macro is None:
            return self.whole
        if macro.span not in self._parsed:
            self._parsed[macro.span] = self._parse_body(macro)
        return self._parsed[macro.span]

    def macro_at(self, offset: int) -> Macro | None:
        """The macro in whose body `offset` lies."""
        index = bisect_right(self._bodies, offset) - 1
        return self.macros[index] if index >= 0 and offset < self.macros[index].body.end else None

    @cached_property
    def _parsed(self) -> dict[Span, Fragment]:
        """The macro bodies that were asked for, by the macro's span."""
        return {}

    @cached_property
    def _bodies(self) -> tuple[int, ...]:
        """Where the macro bodies start."""
        return tuple(macro.body.start for macro in self.macros)

    def text(self, span: Span) -> bytes:
        """The bytes of `span`."""
        return self.data[span.start : span.end]

    def line(self, offset: int) -> int:
        """The line of `offset`, counted from 1."""
        return self.data.count(b"\n", 0, offset) + 1


def _error_bytes(node: Node) -> int:
    if node.is_error or node.is_missing:
        return max(1, node.end_byte - node.start_byte)
    return sum(_error_bytes(child) for child in node.children if child.has_error or child.is_missing)


def per_document(read: Callable[[Document], Read]) -> Callable[[Document], Read]:
    """`read`, which is asked once for each document: what it found is kept with the document, and as long as that."""
    key = f"{read.__module__}.{read.__qualname__}"

    @functools.wraps(read)
    def kept(document: Document) -> Read:
        known = document.__dict__
        if key not in known:
            known[key] = read(document)
        found: Read = known[key]
        return found

    return kept


@per_document
def word_places(document: Document) -> dict[bytes, list[int]]:
    """Where each word of the code begins."""
    found: dict[bytes, list[int]] = {}
    for match in _WORD.finditer(document.code):
        found.setdefault(match[0], []).append(match.start())
    return found
