"""Write Python build code: list elements in and out, statements next to others, literal lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.python.syntax import PythonFile
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Span

if TYPE_CHECKING:
    import libcst as cst

_WIDTH = 88
_REST_OF_LINE = re.compile(rb"[ \t]*(#[^\n]*)?\r?\n")
_COMMA = re.compile(rb"\s*,")


def remove_elements(
    file: PythonFile, holder: cst.List | cst.Tuple | cst.Set, gone: Sequence[cst.CSTNode], edits: TextEdits, rule: str
) -> None:
    """Take elements out of a literal list; one that has its lines to itself takes them along."""
    import libcst as cst

    elements = [element.value for element in holder.elements]
    kept = [node for node in elements if node not in gone]
    has_comma = len(kept) != 1 or _COMMA.match(file.data, file.span(kept[0]).end) is not None
    last_kept = max((i for i, node in enumerate(elements) if node not in gone), default=-1)
    for index, node in enumerate(elements):
        if node not in gone:
            continue
        span = file.span(node)
        comma = _COMMA.match(file.data, span.end)
        end = comma.end() if comma else span.end
        line = file.line_start(span.start)
        rest = _REST_OF_LINE.match(file.data, end)
        if not file.data[line : span.start].strip() and rest:
            edits.delete(Span(line, rest.end()), rule)
        elif index > last_kept and last_kept >= 0:  # the tail: with the comma before it
            edits.delete(Span(file.span(elements[last_kept]).end, end if comma else span.end), rule)
            has_comma = len(kept) != 1
        else:
            blank = re.compile(rb"[ \t]*").match(file.data, end)
            edits.delete(Span(span.start, blank.end() if blank else end), rule)
    if isinstance(holder, cst.Tuple) and not has_comma:
        edits.insert(file.span(kept[0]).end, ",", rule)


def add_after(
    file: PythonFile, node: cst.CSTNode, texts: Sequence[str], edits: TextEdits, rule: str, *, own_lines: bool = False
) -> None:
    """Put expressions behind `node`, an element of a literal list or an argument, in the form it is written in."""
    span = file.span(node)
    line = file.line_start(span.start)
    alone = not file.data[line : span.start].strip()
    comma = _COMMA.match(file.data, span.end)
    indent = file.indent(span.start)
    if not alone and not own_lines:
        edits.insert(span.end, "".join(f", {text}" for text in texts), rule)
        return
    if comma:
        at = comma.end()
        rest = re.compile(rb"[ \t]*#[^\r\n]*").match(file.data, at)
        at = rest.end() if rest else at
        edits.insert(at, "".join(f"\n{indent}{text}," for text in texts), rule)
    else:
        edits.insert(span.end, "".join(f",\n{indent}{text}" for text in texts), rule)


def add_statement(file: PythonFile, node: cst.CSTNode, text: str, edits: TextEdits, rule: str) -> None:
    """A statement behind the one of `node`, at its indent."""
    statement = file.statement(node)
    span = file.span(statement)
    indent = file.indent(span.start)
    end = file.line_end(max(span.start, span.end - 1))
    if end == len(file.data) and not file.data.endswith(b"\n"):
        text = "\n" + _indented(text, indent)
    else:
        text = _indented(text, indent) + "\n"
    edits.insert(end, text, rule)


def _indented(text: str, indent: str) -> str:
    return "\n".join(indent + line if line.strip() else line for line in text.split("\n"))


def literal_list(items: Sequence[str], *, spread: bool, prefix: str = "") -> str:
    """`["a", "b"]`, over several lines where asked for or too long behind `prefix`."""
    one_line = f"[{', '.join(items)}]"
    if not items or (not spread and len(prefix) + len(one_line) <= _WIDTH):
        return one_line
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"


def is_spread(file: PythonFile, node: cst.CSTNode) -> bool:
    """Whether `node` is written over several lines."""
    return "\n" in file.text(node)


def dedented(text: str, file: PythonFile, node: cst.CSTNode) -> str:
    """`text`, whose later lines carry the indent of the statement of `node`, without that indent."""
    indent = file.indent(file.span(file.statement(node)).start)
    return "\n".join(line.removeprefix(indent) for line in text.split("\n"))
