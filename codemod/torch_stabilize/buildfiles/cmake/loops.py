"""Loops and functions that make libraries or lists of sources under computed names, written out.

`foreach(ISA base avx2)` around `add_library(_C_${ISA} ...)` makes two libraries. Written out it is two calls, which are
read and edited like any others. Only what CMake would do with the same text is written out: the values have to be
known, and nothing may leave the loop early or give its variable another value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.flow import MAKES_TARGET, CMakeProject, written_list
from torch_stabilize.buildfiles.cmake.lists import reindent
from torch_stabilize.buildfiles.cmake.syntax import VARIABLE, Block, CMakeFile, Command, read_cmake
from torch_stabilize.buildfiles.cmake.text import wrap
from torch_stabilize.model import Edit, Refusal, Span
from torch_stabilize.source.document import SOURCE_SUFFIXES

_MOST = 64  # rounds of one loop
_DEEPEST = 4
_LEAVES = frozenset({"break", "continue", "return"})
_SAME = re.compile(r"(?P<not>NOT )?\(?\"?(?P<left>[\w.+-]*)\"? STREQUAL \"?(?P<right>[\w.+-]*)\"?\)?\Z")
_WORD = re.compile(r"[\w.+/-]+\Z")
_ANY = re.compile(r"\$\{(\w+)\}")


class Round(NamedTuple):
    """One value of a loop's variable, and what must hold for it to be among them."""

    value: str
    conditions: tuple[str, ...] = ()


class Piece(NamedTuple):
    """A stretch of the file as it would be, and the one that it was. `is_new` says that they differ."""

    now: Span
    was: Span
    is_new: bool


class WrittenOut(NamedTuple):
    """A file with its loops written out, `file`, and where it came from."""

    file: CMakeFile
    pieces: tuple[Piece, ...]

    def was(self, span: Span) -> Span:
        """Where the text at `span` comes from: the whole loop for what was written out."""
        piece = self._at(span.start)
        return piece.was if piece.is_new else span.shifted(piece.was.start - piece.now.start)

    def is_new(self, span: Span) -> bool:
        """Whether the text at `span` was written out."""
        return self._at(span.start).is_new

    def _at(self, offset: int) -> Piece:
        return next((piece for piece in self.pieces if offset < piece.now.end), self.pieces[-1])

    def edits(self, made: Sequence[Edit], rule: str) -> list[Edit]:
        """Edits of the file as it was that do what `made` does to the one that is written out."""
        inside: dict[Piece, list[Edit]] = {piece: [] for piece in self.pieces if piece.is_new}
        done: list[Edit] = []
        for edit in sorted(made):
            # what is added behind the last line of a loop belongs to it
            piece = self._at(max(0, edit.span.start - 1) if not len(edit.span) else edit.span.start)
            if piece.is_new:
                inside[piece].append(edit)
            else:
                by = piece.was.start - piece.now.start
                done.append(Edit(edit.span.shifted(by), edit.replacement, edit.rule, edit.confidence))
        for piece, edits in inside.items():
            data = self.file.data[: piece.now.end]
            for edit in sorted(edits, key=lambda one: -one.span.start):
                data = data[: edit.span.start] + edit.replacement + data[edit.span.end :]
            done.append(Edit(piece.was, data[piece.now.start :], rule))
        return done


def written_out(project: CMakeProject, file: CMakeFile, wanted: Callable[[Span], bool] = bool) -> WrittenOut | None:
    """`file` with every loop and call at a `wanted` place written out; None where nothing is to be."""
    texts: dict[Span, str] = {}
    for span, text in _computed(project, file):
        if wanted(span) and text is not None and not any(other.contains(span) for other in texts):
            texts[span] = text
    if not texts:
        return None
    pieces: list[Piece] = []
    data, done = b"", 0
    for span, text in sorted(texts.items()):
        for was, new in ((Span(done, span.start), None), (span, text)):
            made = file.data[was.start : was.end] if new is None else new.encode("utf-8", "surrogateescape")
            pieces.append(Piece(Span(len(data), len(data) + len(made)), was, new is not None))
            data += made
        done = span.end
    rest = file.data[done:]
    pieces.append(Piece(Span(len(data), len(data) + len(rest)), Span(done, len(file.data)), False))
    try:
        return WrittenOut(read_cmake(file.path, data + rest), tuple(pieces))
    except Refusal:
        return None


def unknown_places(project: CMakeProject, file: CMakeFile) -> Iterator[Span]:
    """Where a loop or a function makes libraries or lists of sources that cannot be told."""
    return (span for span, text in _computed(project, file) if text is None)


def _computed(project: CMakeProject, file: CMakeFile) -> Iterator[tuple[Span, str | None]]:
    """The places that make libraries or lists under computed names, with their text written out."""
    if b"foreach" not in file.data.lower() and not project.composing:
        return
    for block in file.blocks:
        if block.kind == "foreach" and not _is_in_function(file, block) and _matters(project, file, block):
            lines = _lines(file, block.span)
            yield lines, _loop(project, file, block, lines, _DEEPEST)
    for command in file.commands:
        function = project.composing.get(command.name)
        inside_loop = any(frame.block.kind == "foreach" for frame in command.frames)
        if function is not None and command.function is None and not inside_loop:
            lines = _lines(file, command.span)
            yield lines, _call(project, *function, command, file.indent(command.span.start))


def _lines(file: CMakeFile, span: Span) -> Span:
    return Span(file.line_start(span.start), file.line_end(span.end))


def _is_in_function(file: CMakeFile, block: Block) -> bool:
    return any(b.kind in ("function", "macro", "foreach", "while") and b is not block and b.span.contains(block.span)
               for b in file.blocks)  # fmt: skip


def _matters(project: CMakeProject, file: CMakeFile, block: Block) -> bool:
    """Whether a loop makes libraries, or names sources by its variable."""
    name = block.arguments[0] if block.arguments else ""
    for command in (c for c in file.commands if block.span.contains(c.span)):
        if command.name in (*MAKES_TARGET, *project.definers, *project.composing):
            if command.name != "add_executable":
                return True
        elif command.name == "target_sources" or written_list(command) is not None:
            items = [item.text for argument in command.arguments for item in argument.items]
            if any(f"${{{name}}}" in text and text.endswith((*SOURCE_SUFFIXES, f"${{{name}}}")) for text in items):
                rounds = _rounds(project, file, block) or ()
                texts = [text.replace(f"${{{name}}}", one.value) for text in items for one in rounds]
                if not rounds or any(text.endswith(SOURCE_SUFFIXES) for text in texts):
                    return True
    return False


# -- loops -----------------------------------------------------------------------------------------------------------


def _loop(project: CMakeProject, file: CMakeFile, block: Block, lines: Span, depth: int) -> str | None:
    rounds = _rounds(project, file, block)
    inside = [command for command in file.commands if block.span.contains(command.span)]
    name = block.arguments[0] if block.arguments else ""
    if rounds is None or len(rounds) > _MOST or depth == 0 or not _WORD.match(name):
        return None
    if any(c.name in _LEAVES or (written_list(c) == name and c.name != "foreach") for c in inside):
        return None
    if any(b.kind in ("while", "function", "macro") and block.span.contains(b.span) for b in file.blocks):
        return None
    indent = file.indent(block.span.start)
    body = block.branches[0].body
    start = file.line_end(body.start) if not file.data[body.start : file.line_end(body.start)].strip() else body.start
    text = file.text(Span(start, max(start, file.line_start(body.end)))).replace("\r\n", "\n")
    text = _at_indent(text, indent)
    texts = []
    for one in rounds:
        made = _round(project, file, text, {name: one.value}, depth)
        if made is None:
            return None
        texts.append(wrap(one.conditions, made, indent))
    return "\n".join(texts).replace("\n\n\n", "\n\n")


def _at_indent(text: str, indent: str) -> str:
    """`text`, whose lines may be indented as a whole, at `indent`."""
    lines = [line for line in text.split("\n") if line.strip()]
    own = min((line[: len(line) - len(line.lstrip())] for line in lines), key=len, default="")
    return reindent(text, own, indent)


def _round(project: CMakeProject, file: CMakeFile, text: str, values: Mapping[str, str], depth: int) -> str | None:
    """The body of a loop or function for some values of its variables, with what follows from them."""
    known = dict(values)
    for _ in range(_DEEPEST):
        made = _with_values(text, known)
        try:
            part = read_cmake(file.path, made.encode("utf-8", "surrogateescape"))
        except Refusal:
            return None
        more = _set_once(part, known)
        if not more:
            break
        known |= more
    folded = _folded(part, known)
    if folded is None:
        return None
    part = read_cmake(file.path, folded.encode("utf-8", "surrogateescape"))
    data = part.data.decode("utf-8", "surrogateescape")
    for block in reversed(part.blocks):
        if block.kind == "foreach" and not _is_in_function(part, block) and _matters(project, part, block):
            lines = _lines(part, block.span)
            inner = _loop(project, part, block, lines, depth - 1)
            if inner is None:
                return None
            data = part.text(Span(0, lines.start)) + inner + part.text(Span(lines.end, len(part.data)))
            part = read_cmake(file.path, data.encode("utf-8", "surrogateescape"))
    return data


def _with_values(text: str, known: Mapping[str, str]) -> str:
    return _ANY.sub(lambda match: known.get(match[1], match[0]), text)


def _set_once(part: CMakeFile, known: Mapping[str, str]) -> dict[str, str]:
    """Variables that this round gives one value, always: what they mean is known in it."""
    written = [written_list(command) for command in part.commands]
    found = {}
    for command in part.commands:
        name = command.first
        once = command.name == "set" and len(command.arguments) == 2 and written.count(name) == 1
        if once and not command.frames and name not in known and _WORD.match(command.arguments[1].text):
            found[name] = command.arguments[1].text
    return found


def _folded(part: CMakeFile, known: Mapping[str, str]) -> str | None:
    """The text without conditions that the values decide; None where a condition asks for a variable otherwise."""
    for block in part.blocks:
        if block.kind != "if":
            continue
        answers = [_decided(branch.condition, known) if branch.condition else True for branch in block.branches]
        for branch, answer in zip(block.branches, answers, strict=True):
            words = re.findall(r"(?<![\w${\"])\w+(?![\w}\"])", branch.condition)
            if answer is None and any(word in known for word in words):
                return None
        taken = next((place for place, answer in enumerate(answers) if answer is not False), len(answers))
        if taken < len(answers) and answers[taken] is None:
            continue
        indent = part.indent(block.span.start)
        body = ""
        if taken < len(answers):
            within = block.branches[taken].body
            body = part.text(Span(part.line_end(within.start), part.line_start(within.end)))
            body = _at_indent(body, indent)
        lines = _lines(part, block.span)
        text = part.text(Span(0, lines.start)) + body + part.text(Span(lines.end, len(part.data)))
        return _folded(read_cmake(part.path, text.encode("utf-8", "surrogateescape")), known)
    return part.data.decode("utf-8", "surrogateescape")


def _decided(condition: str, known: Mapping[str, str]) -> bool | None:
    match = _SAME.match(condition)
    if match is None:
        return None
    quoted = '"' in condition
    left, right = (known.get(word, word) for word in (match["left"], match["right"]))
    if not quoted and match["left"] not in known and match["left"] not in known.values():
        return None
    return (left == right) is not bool(match["not"])


def _rounds(project: CMakeProject, file: CMakeFile, block: Block) -> tuple[Round, ...] | None:
    """The values of a loop's variable, in order."""
    kind, found = "", list[Round]()
    numbers: list[str] = []
    for word in block.arguments[1:]:
        if word in ("IN", "LISTS", "ITEMS", "RANGE", "ZIP_LISTS"):
            kind = word
        elif kind == "ZIP_LISTS":
            return None
        elif kind == "RANGE":
            numbers.append(word)
        else:
            items = [Round(part) for part in (f"${{{word}}}" if kind == "LISTS" else word).split(";") if part]
            for item in items:
                more = _value(project, file, block, item, _DEEPEST)
                if more is None:
                    return None
                found += more
    if kind == "RANGE":
        return _range(numbers)
    return tuple(found)


def _range(words: Sequence[str]) -> tuple[Round, ...] | None:
    if not words or not all(word.isdigit() for word in words):
        return None
    numbers = [int(word) for word in words]
    first, last = (0, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
    step = numbers[2] if len(numbers) > 2 else 1
    return tuple(Round(str(number)) for number in range(first, last + 1, step or 1))


def _value(project: CMakeProject, file: CMakeFile, block: Block, item: Round, depth: int) -> list[Round] | None:
    """What an element of the list is: itself, or the elements of the list that it names."""
    match = VARIABLE.fullmatch(item.value)
    if match is None:
        return [item]
    if depth == 0:
        return None
    name = match[1]
    writers = [c for one in project.files.values() for c in one.commands if written_list(c) == name]
    found: list[Round] = []
    for command in writers:
        is_set = command.name == "set"
        appends = command.name == "list" and command.first.upper() == "APPEND"
        is_before = command.path == file.path and command.span.end <= block.span.start
        if not (is_set or appends) or not is_before or command.function is not None:
            return None
        if any(frame.block.kind != "if" for frame in command.frames) or (is_set and (found or command.frames)):
            return None
        for argument in command.arguments[1 if is_set else 2 :]:
            if argument.text in ("CACHE", "PARENT_SCOPE"):
                return None
            for part in argument.items:
                more = _value(project, file, block, Round(part.text, command.conditions), depth - 1)
                if more is None:
                    return None
                found += more
    return found if writers else None


# -- functions -------------------------------------------------------------------------------------------------------


def _call(project: CMakeProject, function: Block, home: CMakeFile, command: Command, indent: str) -> str | None:
    """A call of a function as the commands that it runs."""
    inside = [one for one in home.commands if function.span.contains(one.span)]
    if any(one.name in (*_LEAVES, "cmake_parse_arguments") for one in inside) or not inside:
        return None
    if any(b.kind in ("while", "function", "macro") and b is not function and function.span.contains(b.span)
           for b in home.blocks):  # fmt: skip
        return None
    parameters = function.arguments[1:]
    given = [argument.text for argument in command.arguments]
    if len(given) < len(parameters) or any("ARGV" in a.text for one in inside for a in one.arguments):
        return None
    values = dict(zip(parameters, given, strict=False)) | {"ARGN": " ".join(given[len(parameters) :])}
    body = function.branches[0].body
    text = home.text(Span(home.line_end(body.start), home.line_start(body.end))).replace("\r\n", "\n")
    return _round(project, home, _at_indent(text, indent), values, 1)
