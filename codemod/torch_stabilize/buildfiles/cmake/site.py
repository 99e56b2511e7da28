"""The stable side of a CMake file: its target, its list, and where in the file new sources belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch_stabilize.buildfiles.cmake.flow import CMakeProject, is_around, written_list
from torch_stabilize.buildfiles.cmake.logic import equal
from torch_stabilize.buildfiles.cmake.model import Definition, Flow
from torch_stabilize.buildfiles.cmake.syntax import VARIABLE, Argument, Block, CMakeFile, Command, Frame
from torch_stabilize.model import Span
from torch_stabilize.source.document import SOURCE_SUFFIXES

_PLAIN = frozenset(("set", "list", "message", "unset", "option", "if", "include", "file", "get_filename_component"))


@dataclass(frozen=True)
class StableSite:
    """A stable target in one file.

    `variable` is the list it is built from and `start` the `set` that begins it; both are empty for a target whose
    sources stand in the defining call. `opened` is the block around it that no longer restricts it (`cmake_widen`).
    """

    project: CMakeProject
    file: CMakeFile
    definition: Definition
    variable: str
    start: Command
    opened: Block | None = None

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The blocks around the target."""
        return self.start.frames

    @property
    def conditions(self) -> tuple[str, ...]:
        """What must hold for the target to exist."""
        frames = dict.fromkeys((*self.start.frames, *self.definition.command.frames))
        return tuple(c for frame in frames if frame.block != self.opened for c in frame.conditions)

    def conditions_of(self, command: Command) -> tuple[str, ...]:
        """What must hold for `command`, which is near the target. Only `start` leaves an opened block."""
        if command == self.start or self.opened is None:
            frames = [frame for frame in command.frames if frame.block != self.opened]
        else:
            frames = list(command.frames)
        return tuple(condition for frame in frames for condition in frame.conditions)

    @cached_property
    def anchor(self) -> int:
        """Where blocks that belong to the target go: before the call that defines it and what introduces that call."""
        return lead_in(self.file, self.definition.command)

    def place(self, *, before_helpers: bool) -> int:
        """Where a new block is written: before the calls that treat the whole list, or `anchor`."""
        helper = self.helper
        if not before_helpers or helper is None:
            return self.anchor
        deeper = helper.frames[len(self.frames) :]
        start = deeper[0].block.span.start if deeper else helper.span.start
        return lead_in(self.file, Command(self.file.path, helper.name, Span(start, helper.span.end), (), self.frames))

    @cached_property
    def helper(self) -> Command | None:
        """The first call that treats every source of the list."""
        return list_helper(self.file, self.variable, self.start, self.definition.command)

    def in_zone(self, command: Command) -> bool:
        """Whether `command` is between the beginning of the list and the target."""
        return (
            command.path == self.file.path
            and self.start.span.start < command.span.start < self.definition.command.span.start
            and is_around(self.start.frames, command.frames)
        )

    def list_commands(self) -> list[Command]:
        """The commands that put literal sources into the list, first to last."""
        if not self.variable:
            return [self.definition.command]
        found = [self.start]
        for command in self.file.commands:
            if self.in_zone(command) and written_list(command) == self.variable and last_source(command) is not None:
                found.append(command)
        return found

    def list_for(self, conditions: Sequence[str], *, before_helpers: bool) -> Command | None:
        """The last list command that runs exactly when `conditions` hold, before or behind the helpers of the list."""
        helper = self.helper
        for command in reversed(self.list_commands()):
            before = helper is None or command.span.start < helper.span.start
            if before == before_helpers and equal(self.conditions_of(command), conditions, self.project.domains):
                return command
        return None

    def block_for(self, conditions: Sequence[str], *, before_helpers: bool) -> Block | None:
        """The last plain `if` on that side of the helpers that runs exactly when `conditions` hold."""
        found = None
        limit = self.place(before_helpers=before_helpers)
        floor = self.helper.span.end if self.helper and not before_helpers else self.start.span.end
        for block in self.file.blocks:
            if block.kind != "if" or len(block.branches) != 1:
                continue
            if not (block.span.start > self.start.span.end and floor < block.span.end <= limit):
                continue
            inside = [command for command in self.file.commands if block.span.contains(command.span)]
            if not inside or inside[0].frames[: len(self.frames)] != self.frames:
                continue
            frame = next((frame for frame in inside[0].frames if frame.block == block), None)
            depth = inside[0].frames.index(frame) if frame else -1
            own = [condition for f in inside[0].frames[: depth + 1] for condition in f.conditions]
            if depth == len(self.frames) and equal(own, [*self.conditions_all(), *conditions], self.project.domains):
                found = block
        return found

    def conditions_all(self) -> tuple[str, ...]:
        """The conditions of the blocks around the list, an opened one included."""
        return tuple(condition for frame in self.frames for condition in frame.conditions)


def find_site(project: CMakeProject, definition: Definition) -> StableSite | None:
    """The stable side that `definition` makes; None where its list cannot be found."""
    file = project.files[definition.command.path]
    for argument in project.source_arguments(definition.command):
        for item in argument.items:
            match = VARIABLE.fullmatch(item.text)
            if not match:
                continue
            name = match.group(1)
            writers = [w for w, _ in project.writers(name, definition.command) if w.path == file.path]
            starts = [w for w in writers if w.name == "set"]
            if starts:
                return StableSite(project, file, definition, name, starts[-1])
    if last_source(definition.command) is not None:
        return StableSite(project, file, definition, "", definition.command)
    return None


def list_helper(file: CMakeFile, variable: str, start: Command, end: Command) -> Command | None:
    """The first call between `start` and `end` that does something to all sources of the list (flags, properties)."""
    for command in file.commands:
        between = start.span.start < command.span.start < end.span.start
        if between and reads(command, variable) and command.name not in _PLAIN:
            return command
    return None


def is_before_helper(project: CMakeProject, flow: Flow, step: Command) -> bool:
    """Whether the calls that treat all sources of the legacy list saw `flow`, which enters it through `step`."""
    if not flow.variables:
        return True
    file = project.files[step.path]
    definition = flow.definition.command
    if definition.path != file.path:
        return True
    start = next((c for c in file.commands if written_list(c) == flow.variables[-1]), step)
    helper = list_helper(file, flow.variables[-1], start, definition)
    return helper is None or step.span.start < helper.span.start


def reads(command: Command, variable: str) -> bool:
    """Whether `${variable}` is an argument, or an element of one."""
    wanted = f"${{{variable}}}"
    return bool(variable) and any(item.text == wanted for argument in command.arguments for item in argument.items)


def last_source(command: Command) -> Argument | None:
    """The last argument that names a source file."""
    sources = [a for a in command.arguments if any(item.text.endswith(SOURCE_SUFFIXES) for item in a.items)]
    return sources[-1] if sources else None


def lead_in(file: CMakeFile, command: Command) -> int:
    """Where the comment lines and messages directly above `command` begin."""
    start = file.line_start(command.span.start)
    messages = (other for other in file.commands if other.name == "message" and other.frames == command.frames)
    siblings = {message.span.end: message for message in messages}
    while start > 0:
        above = file.line_start(start - 1)
        line = file.data[above:start].strip()
        message = siblings.get(above + len(file.data[above:start].rstrip()))
        if line.startswith(b"#") or message is not None:
            start = file.line_start(message.span.start) if message is not None else above
        else:
            break
    return start


def end_of_block(file: CMakeFile, block: Block) -> tuple[int, str]:
    """Where more can be written at the end of a block, before a comment that belongs to its `endif()`; its indent."""
    at = file.line_start(block.closing.start)
    while at > block.span.start:
        above = file.line_start(at - 1)
        if not file.data[above:at].strip().startswith(b"#"):
            break
        at = above
    blank = file.line_start(at - 1)
    if not file.data[blank:at].strip():
        at = blank
    inside = [c for c in file.commands if block.span.contains(c.span) and c.frames and c.frames[-1].block == block]
    indent = file.indent(inside[-1].span.start) if inside else file.indent(block.span.start) + "  "
    return at, indent
