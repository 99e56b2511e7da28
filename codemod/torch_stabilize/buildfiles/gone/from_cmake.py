"""A target of CMake that nothing is left of: its definition, its settings and the lists that it alone reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch_stabilize.buildfiles.cmake.carriers import emptied_span
from torch_stabilize.buildfiles.cmake.flow import CMakeProject, read_project, written_list
from torch_stabilize.buildfiles.cmake.lists import without_gap
from torch_stabilize.buildfiles.cmake.syntax import VARIABLE, Command
from torch_stabilize.buildfiles.codes import SOURCE_MOVED
from torch_stabilize.buildfiles.gone.taken_out import TakenOut
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import short_name

_SETTINGS = re.compile(r"target_\w+|set_target_properties|install")
_BEFORE_TARGETS = {"install": 1}  # install(TARGETS ...)
_CHANGES = ("FILTER", "REMOVE_ITEM", "REMOVE_DUPLICATES", "SORT", "REVERSE")
_KEYWORD = re.compile(r"[A-Z][A-Z_]+")


def take_out_of_cmake(snapshot: Snapshot, layout: Layout) -> TakenOut:
    """The edits of the project's CMake files."""
    project = read_project(snapshot, layout.cmake_files)
    name = short_name(layout.legacy_library)
    defining = [one.command for one in project.definitions if one.name == name]
    if not defining:
        return TakenOut()
    gone = list(defining)
    for command in _commands(project):
        if command in gone or not _mentions(project, command, name):
            continue
        if not _is_setting_of(project, command, name):
            return TakenOut(kept=f"{command.path} uses the target {name} in {command.name}()")
        gone.append(command)
    gone += _lists_of(project, gone)
    edits = {path: TextEdits(path, file.data) for path, file in project.files.items()}
    for command in gone:
        file = project.files[command.path]
        here = [other for other in gone if other.path == command.path]
        edits[command.path].delete(without_gap(file, emptied_span(file, command, here)), SOURCE_MOVED)
    return TakenOut(tuple(edit for text in edits.values() for edit in text.edits()))


def _commands(project: CMakeProject) -> list[Command]:
    return [command for file in project.files.values() for command in file.commands]


def _mentions(project: CMakeProject, command: Command, name: str) -> bool:
    """Whether the target is one of the arguments, or is named in a generator expression."""
    inside = re.compile(rf"\$<[^>]*(?<!\w){re.escape(name)}(?!\w)")
    return any(
        project.expand(item.text, command.path) == name or inside.search(item.text)
        for argument in command.arguments
        for item in argument.items
    )


def _is_setting_of(project: CMakeProject, command: Command, name: str) -> bool:
    """Whether a command is about this target, and no other one."""
    if not _SETTINGS.fullmatch(command.name):
        return False
    texts = [project.expand(argument.text, command.path) for argument in command.arguments]
    at = _BEFORE_TARGETS.get(command.name, 0)
    if texts[at : at + 1] != [name] or (at and texts[:at] != ["TARGETS"]):
        return False
    ends = len(texts) > at + 1 and _KEYWORD.fullmatch(texts[at + 1]) is not None
    return ends or command.name.startswith("target_")


def _lists_of(project: CMakeProject, gone: Sequence[Command]) -> list[Command]:
    """The commands that fill lists which nothing but `gone`, and these, reads."""
    found: list[Command] = []
    while True:
        leaving = [*gone, *found]
        names = {name for command in leaving for a in command.arguments for name in VARIABLE.findall(a.text)}
        more = [
            command
            for name in sorted(names)
            if not _is_read(project, name, leaving)
            for command in _commands(project)
            if command not in leaving and _changes(command) == name
        ]
        if not more:
            return found
        found += more


def _changes(command: Command) -> str | None:
    """The list that a command fills or changes, and does nothing else."""
    if command.name == "list" and command.first in _CHANGES and len(command.arguments) > 1:
        return command.arguments[1].text
    return written_list(command)


def _is_read(project: CMakeProject, name: str, leaving: Sequence[Command]) -> bool:
    """Whether a command that stays speaks of a variable and does not just give it a value."""
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    for file in project.files.values():
        text = file.data.decode("utf-8", "surrogateescape")
        inside = [command.span for command in file.commands if command in leaving or _changes(command) == name]
        for match in word.finditer(text):
            at = len(text[: match.start()].encode("utf-8", "surrogateescape"))
            in_comment = any(span.start <= at < span.end for span in file.comments)
            if not in_comment and not any(span.start <= at < span.end for span in inside):
                return True
    return False
