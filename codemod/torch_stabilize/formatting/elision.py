"""Leave out of a text what nobody changed: a formatter that is asked for the changed lines then reads little else.

Most of its time is spent on lines it may not touch. Here a range of those is one comment line while it runs, and comes
back after it. Only lines by which no other line is laid out are left out: whole declarations with untouched ones before
and behind them, and what is in the braces of a namespace, a function, a block or an untouched table.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_start

Lines = tuple[int, int]
"""First line, counted from 0, and the line behind the last."""

_LISTS = frozenset(
    {"declaration_list", "preproc_if", "preproc_ifdef", "preproc_else", "preproc_elif", "preproc_elifdef"}
)
_LIST_HOLDERS = frozenset({"namespace_definition", "linkage_specification"})
_BRACES = frozenset({"declaration_list", "compound_statement", "initializer_list"})
# What a block may stand in; a lambda is not among them: its body is laid out with the call around it.
_HOLDERS = frozenset(
    {
        *_LIST_HOLDERS, "template_declaration", "function_definition", "compound_statement",
        "if_statement", "else_clause", "for_statement", "for_range_loop", "while_statement",
    }
)  # fmt: skip
_TABLE_HOLDERS = frozenset({"declaration", "init_declarator"})
_WORTH = 8  # lines; what is shorter could be joined to the line of its brace
_SWITCH = b"clang-format o"  # "off" or "on" in a comment: it counts beyond the stretch
_MARK = b"//!left out %d\n"
_CODE_LINE = re.compile(rb"([ \t]*)[^\s#]")
_MARK_LINE = re.compile(rb"^[ \t]*//!left out (\d+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Untouched:
    """Finds what can be left out of `document`; `is_untouched` tells whether nobody changed a stretch of its lines."""

    document: Document
    is_untouched: Callable[[Lines], bool]

    def stretches(self) -> Iterator[Lines]:
        """The largest such stretches, in order and apart; none where the file's outline was not understood."""
        root = self.document.whole.tree.root_node
        return iter(()) if _is_broken(root) else self._among(root)

    def _among(self, parent: Node) -> Iterator[Lines]:
        run: list[Node] = []
        for child in parent.named_children:
            lines = _lines(child)
            whole = child.type != "preproc_include" and not child.has_error and self.is_untouched(lines)
            if not whole or (run and not self.is_untouched((_lines(run[-1])[0], lines[1]))):
                yield from self._in_run(run)
                run = []
            if whole:
                run.append(child)
            else:
                yield from self._within(child)
        yield from self._in_run(run)

    def _in_run(self, run: Sequence[Node]) -> Iterator[Lines]:
        """Of declarations that follow each other, those in the middle; bodies where that is not worth it."""
        first, last = 1, len(run) - 1
        while first < last and _touch(run[first - 1], run[first]):
            first += 1
        while first < last and (_touch(run[last - 1], run[last]) or not _has_indentation(run[last])):
            last -= 1
        middle = (_lines(run[first])[0], _lines(run[last - 1])[1]) if first < last else (0, 0)
        if not self._is_worth_it(middle):
            first = last = len(run)
        for node in run[:first]:
            yield from self._within(node)
        if first < last:
            yield middle
        for node in run[last:]:
            yield from self._within(node)

    def _within(self, node: Node) -> Iterator[Lines]:
        """What can be left out of the braces of `node`; nothing of a function that was not understood."""
        if node.has_error and node.type not in _LISTS | _LIST_HOLDERS:
            return
        if node.type in _BRACES:
            inside = node.start_point[0] + 1, node.end_point[0]
            if (
                not node.has_error
                and self._is_worth_it(inside)
                and self.is_untouched(inside)
                and self._has_own_lines(node)
            ):
                yield inside
                return
        if node.type in _LISTS:
            yield from self._among(node)
        elif node.type in _HOLDERS or (node.type in _TABLE_HOLDERS and self.is_untouched(_lines(node))):
            for child in node.named_children:
                yield from self._within(child)

    def _is_worth_it(self, lines: Lines) -> bool:
        return lines[1] - lines[0] >= _WORTH

    def _has_own_lines(self, body: Node) -> bool:
        data = self.document.data
        first = data.find(b"\n", body.start_byte) + 1
        last = line_start(data, body.end_byte)
        beside_braces = data[body.start_byte + 1 : first] + data[last : body.end_byte - 1]
        return not beside_braces.strip()


def _is_broken(parent: Node) -> bool:
    """Whether an error is among the declarations: what is inside and what outside of a function is not known."""
    outer = (child for child in parent.named_children if child.has_error)
    return any(child.is_error or (child.type in _LISTS | _LIST_HOLDERS and _is_broken(child)) for child in outer)


def _lines(node: Node) -> Lines:
    """The lines `node` is on; that of a directive ends where the next line starts."""
    end_line, end_column = node.end_point
    return node.start_point[0], end_line + (end_column > 0)


def _touch(node: Node, following: Node) -> bool:
    """Whether no empty line parts the two: what is in a row may be aligned."""
    return _lines(node)[1] >= following.start_point[0]


def _has_indentation(node: Node) -> bool:
    """Whether clang-format indents what follows as it finds `node`: neither comments nor directives count."""
    return node.type != "comment" and not node.type.startswith("preproc_")


class Elided(NamedTuple):
    """A text less some of its lines: each of `gaps` (in order, apart) is one comment line in `text`."""

    text: bytes
    gaps: tuple[Lines, ...]
    left_out: tuple[bytes, ...]

    def line(self, line: int) -> int:
        """Where `line` of the whole text, counted from 0 and in no gap, is in `text`."""
        before = bisect_right(self.gaps, (line, line))
        return line - sum(end - start - 1 for start, end in self.gaps[:before])

    def restored(self, text: bytes) -> bytes | None:
        """`text`, another form of the elided text, with what was left out; None where a mark is gone or doubled."""
        marks = [int(number) for number in _MARK_LINE.findall(text)]
        if marks != list(range(len(self.gaps))):
            return None
        return _MARK_LINE.sub(lambda mark: self.left_out[int(mark[1])], text)


def elide(lines: Sequence[bytes], gaps: Sequence[Lines]) -> Elided:
    """The text of `lines`, which end in line feeds, without `gaps`.

    Empty lines at either end of a gap stay, and so does a gap that switches a formatter off or on.
    """
    kept: list[bytes] = []
    position = 0
    trimmed = [gap for gap in (_trimmed(lines, gap) for gap in gaps) if gap[0] < gap[1]]
    stretches = [(gap, b"".join(lines[gap[0] : gap[1]])) for gap in trimmed]
    left_out = [(gap, text) for gap, text in stretches if _SWITCH not in text]
    for number, ((start, end), _) in enumerate(left_out):
        kept += (*lines[position:start], _indent(lines[start:end]) + _MARK % number)
        position = end
    kept += lines[position:]
    return Elided(b"".join(kept), tuple(gap for gap, _ in left_out), tuple(text for _, text in left_out))


def _indent(lines: Sequence[bytes]) -> bytes:
    """That of the first line of code: clang-format indents what follows as it finds what is before."""
    continues = False
    for line in lines:
        found = None if continues else _CODE_LINE.match(line)
        if found:
            return found[1]
        continues = line.endswith(b"\\\n") and (continues or line.lstrip().startswith(b"#"))
    return b""


def _trimmed(lines: Sequence[bytes], gap: Lines) -> Lines:
    start, end = gap
    while start < end and not lines[start].strip():
        start += 1
    while start < end and not lines[end - 1].strip():
        end -= 1
    return start, end
