"""Which stretch of a CMake file builds a set of sources and nothing else, and can therefore move as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.flow import CMakeProject, written_list
from torch_stabilize.buildfiles.cmake.lists import lines_of, with_comment
from torch_stabilize.buildfiles.cmake.model import Flow
from torch_stabilize.buildfiles.cmake.syntax import Block, CMakeFile, Command, Frame
from torch_stabilize.model import Span
from torch_stabilize.source.patterns import whole_word

_HARMLESS = frozenset(
    ("set", "list", "message", "unset", "set_source_files_properties", "set_property", "string", "math")
)
_WORD = re.compile(r"[A-Za-z_]\w*\Z")


class Region(NamedTuple):
    """Whole lines that can move: a block with the comment and the preparations that only it uses.

    `outer` are the blocks around it, outermost first.
    """

    span: Span
    block: Block
    outer: tuple[Frame, ...]
    prepared: bool  # what its condition depends on moves along


def find_region(project: CMakeProject, flows: Sequence[Flow], shared: Sequence[Frame], until: int) -> Region | None:
    """The outermost `if` that only serves `flows` (all of one carrier), below the blocks of `shared`.

    None where there is none: the sources stand in a block with others, or what the block prepares is used elsewhere
    before `until`, where the text would go.
    """
    file = project.files[flows[0].steps[0].path]
    command = flows[0].steps[0]
    for depth, frame in enumerate(command.frames):
        if frame in shared or frame.block.kind != "if":
            continue
        block = frame.block
        inside = _inside(file, block.span)
        if all(_serves(project, other, flows) for other in inside) and _holds(block, flows):
            return _with_preparation(project, file, block, command.frames[:depth], inside, until)
    return None


def _inside(file: CMakeFile, span: Span) -> tuple[Command, ...]:
    return tuple(command for command in file.commands if span.contains(command.span))


def _holds(block: Block, flows: Sequence[Flow]) -> bool:
    return all(block.span.contains(step.span) for flow in flows for step in flow.steps[:-1])


def _serves(project: CMakeProject, command: Command, flows: Sequence[Flow]) -> bool:
    """Whether `command` may go with the sources of `flows`."""
    if any(command in flow.steps for flow in flows):
        return True
    own = {name for flow in flows for name in flow.variables[:-1]}
    if command.name in project.definers or command.name in ("include", "add_subdirectory", "target_sources"):
        return False
    if command.name.startswith(("fetchcontent", "find_", "add_", "target_", "install", "execute_process", "file")):
        return False
    written = written_list(command)
    if written in own or (flows[0].variables and written == flows[0].variables[-1]):
        return False  # other sources of the same list
    if command.name in _HARMLESS:
        return True
    return any(f"${{{name}}}" in argument.text for name in own for argument in command.arguments)


def _with_preparation(
    project: CMakeProject,
    file: CMakeFile,
    block: Block,
    outer: tuple[Frame, ...],
    inside: tuple[Command, ...],
    until: int,
) -> Region | None:
    span = with_comment(file, lines_of(file, block.span))
    siblings = _siblings(file, outer)
    while True:
        above = next((s for s in reversed(siblings) if s.end <= span.start), None)
        if above is None or file.data[above.end : span.start].strip():
            break
        if b"\n\n" in file.data[above.end : span.start].replace(b"\r", b""):
            break
        grown = Span(with_comment(file, lines_of(file, above)).start, span.end)
        if not _prepares(file, above, grown):
            break
        span = grown
    if _is_awaited(project, file, inside, span, until):
        return None
    words = condition_words([branch.condition for branch in block.branches])
    moved = {written_list(command) or command.first for command in _inside(file, Span(span.start, block.span.start))}
    return Region(span, block, outer, bool(words & moved))


def _siblings(file: CMakeFile, outer: tuple[Frame, ...]) -> list[Span]:
    """The commands and blocks that stand directly in `outer`."""
    spans = []
    for command in file.commands:
        if command.frames[: len(outer)] == outer:
            deeper = command.frames[len(outer) :]
            spans.append(deeper[0].block.span if deeper else command.span)
    return sorted(set(spans))


def _prepares(file: CMakeFile, span: Span, region: Span) -> bool:
    """Whether everything in `span` only gives values to variables that nothing outside of `region` mentions."""
    for command in _inside(file, span):
        if command.name in ("message",):
            continue
        name = written_list(command)
        if name is None and (command.name.startswith(("add_", "target_", "include", "find_", "install", "fetch"))):
            return False
        if name is None:
            name = command.first if _WORD.match(command.first) else None
        if name is None or _mentioned_outside(file, name, region):
            return False
    return True


def _mentioned_outside(file: CMakeFile, name: str, region: Span) -> bool:
    pattern = re.compile(whole_word(name.encode()))
    return any(not region.start <= match.start() < region.end for match in pattern.finditer(file.data))


def _is_awaited(project: CMakeProject, file: CMakeFile, inside: Sequence[Command], region: Span, until: int) -> bool:
    """Whether something between the region and `until` reads a variable that the region sets with `set`."""
    for command in inside:
        name = written_list(command)
        if command.name != "set" or name is None:
            continue
        for reader in file.commands:
            between = region.end <= reader.span.start < until
            if (
                between
                and any(f"${{{name}}}" in a.text for a in reader.arguments)
                and any(writer == command for writer, _ in project.writers(name, reader))
            ):
                return True
    return False


def condition_words(conditions: Sequence[str]) -> frozenset[str]:
    """The names a condition can depend on."""
    return frozenset(re.findall(r"[A-Za-z_]\w*", " ".join(conditions)))


def is_rewritten(file: CMakeFile, conditions: Sequence[str], start: int, end: int) -> bool:
    """Whether a command between two places writes a variable that `conditions` depend on."""
    words = condition_words(conditions)
    for command in file.commands:
        if start <= command.span.start < end:
            written = written_list(command)
            names = {written} if written else {a.text for a in command.arguments if not a.quoted}
            if command.name not in ("message", "if") and names & words:
                return True
    return False
