"""Take items out of a CMake list command, put items in, and remove whole commands, keeping the file's format."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch_stabilize.buildfiles.cmake.syntax import Argument, CMakeFile, Command
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Span

_REST_OF_LINE = re.compile(rb"[ \t]*(#[^\n]*)?\r?\n")
_CLOSING = re.compile(rb"\s*\)")
_WIDTH = 80


def remove_items(file: CMakeFile, command: Command, spans: Sequence[Span], edits: TextEdits, rule: str) -> None:
    """Delete list elements. One that has its lines to itself takes them along, with a comment behind it."""
    removed = [argument for argument in command.arguments if _is_removed(argument, spans)]
    for argument in command.arguments:
        if argument not in removed:
            _remove_parts(file, argument, spans, edits, rule)
    kept = [argument for argument in command.arguments if argument not in removed]
    for argument in removed:
        edits.delete(_removal(file, command, argument, kept), rule)


def _is_removed(argument: Argument, spans: Sequence[Span]) -> bool:
    return bool(argument.items) and all(item.span in spans for item in argument.items)


def _remove_parts(
    file: CMakeFile, argument: Argument, spans: Sequence[Span], edits: TextEdits, rule: str
) -> None:  # "a.cu;b.cu" in one argument
    for item in argument.items:
        if item.span in spans:
            start, end = item.span.start, item.span.end
            if file.data[end : end + 1] == b";":
                end += 1
            elif file.data[start - 1 : start] == b";":
                start -= 1
            edits.delete(Span(start, end), rule)


def _removal(file: CMakeFile, command: Command, argument: Argument, kept: Sequence[Argument]) -> Span:
    line = file.line_start(argument.span.start)
    alone_before = not file.data[line : argument.span.start].strip()
    if alone_before and _REST_OF_LINE.match(file.data, argument.span.end):
        return Span(line, file.line_end(argument.span.end))
    before = [other for other in kept if other.span.end <= argument.span.start]
    previous = before[-1].span.end if before else command.span.start + len(command.name) + 1
    between = file.data[previous : argument.span.start]
    closes = _CLOSING.match(file.data, argument.span.end)
    if closes and b"#" not in between:
        return Span(previous, argument.span.end)
    if alone_before and closes:  # a comment is before it: the parenthesis keeps its line
        return argument.span
    start = argument.span.start
    while file.data[start - 1 : start] in (b" ", b"\t"):
        start -= 1
    if start == line:
        end = argument.span.end
        while file.data[end : end + 1] in (b" ", b"\t"):
            end += 1
        return Span(argument.span.start, end)
    return Span(start, argument.span.end)


def add_items(
    file: CMakeFile, command: Command, texts: Sequence[str], after: Argument | None, edits: TextEdits, rule: str
) -> None:
    """Append elements behind the argument `after` (the last source of the list), in the form of its neighbours."""
    last = after or command.arguments[0]
    quoted = last.quoted if after is not None else True
    words = [f'"{text}"' if quoted or " " in text else text for text in texts]
    line = file.line_start(last.span.start)
    own_line = not file.data[line : last.span.start].strip()
    if own_line:
        indent = file.indent(last.span.start)
    else:
        one_line = f"{file.text(Span(line, last.span.end))} {' '.join(words)})"
        if after is not None and len(one_line) <= _WIDTH and last.span.start < file.line_end(command.span.start):
            edits.insert(last.span.end, "".join(f" {word}" for word in words), rule)
            return
        indent = file.indent(command.span.start) + "  "
    at = last.span.end
    comment = re.compile(rb"[ \t]*#[^\r\n]*").match(file.data, at)
    if comment:
        at = comment.end()
    edits.insert(at, "".join(f"\n{indent}{word}" for word in words), rule)


def lines_of(file: CMakeFile, span: Span) -> Span:
    """`span` grown to whole lines where nothing else is on them."""
    start = file.line_start(span.start)
    if file.data[start : span.start].strip():
        start = span.start
    is_whole = file.data[span.end - 1 : span.end] == b"\n"
    rest = None if is_whole else _REST_OF_LINE.match(file.data, span.end)
    end = rest.end() if rest else span.end
    return Span(start, end)


def with_comment(file: CMakeFile, span: Span) -> Span:
    """`span`, whole lines, with the comment lines directly above it."""
    start = file.line_start(span.start)
    while start > 0:
        above = file.line_start(start - 1)
        line = file.data[above:start].strip()
        if not line.startswith(b"#") or not line.strip(b"# \t-=*"):
            break
        start = above
    return Span(start, lines_of(file, span).end)


def without_gap(file: CMakeFile, span: Span) -> Span:
    """`span` with the blank lines behind it, where blank lines or a block's opening stand before it too."""
    end = span.end
    before = file.data[: span.start].rstrip(b" \t\r\n")
    blank_before = file.data[len(before) : span.start].count(b"\n") > 1
    opens = before.endswith(b")") and not blank_before
    if blank_before or opens or not before:
        blank = re.compile(rb"(?:[ \t]*\r?\n)+").match(file.data, end)
        if blank and (blank_before or not before):
            end = blank.end()
    return Span(span.start, end)


def reindent(text: str, old: str, new: str) -> str:
    """`text` with the leading `old` of each line replaced by `new`."""
    if old == new:
        return text
    lines = text.split("\n")
    return "\n".join(new + line[len(old) :] if line.startswith(old) and line.strip() else line for line in lines)
