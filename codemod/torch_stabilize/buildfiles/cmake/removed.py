"""What `list(REMOVE_ITEM)` and `list(FILTER)` take out of a list before it is read."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.cmake.syntax import Command

if TYPE_CHECKING:
    from torch_stabilize.buildfiles.cmake.flow import CMakeProject
    from torch_stabilize.buildfiles.cmake.model import Flow


def without_removed(
    project: CMakeProject, flows: Iterable[Flow], follow: Callable[[Command], Iterable[Flow]]
) -> Iterator[Flow]:
    """`flows` without the sources that are taken out; those that are under a condition have its opposite.

    `follow` gives the sources that a `REMOVE_ITEM` names.
    """
    for flow in flows:
        removed = [one for one in _removals(project, flow) if _takes_out(project, one, flow, follow)]
        known = flow.conditions
        unless = [tuple(c for c in one.conditions if c not in known) for one in removed]
        if all(unless):
            yield flow._replace(unless=tuple(dict.fromkeys(unless))) if unless else flow


def _removals(project: CMakeProject, flow: Flow) -> Iterator[Command]:
    """The calls that take something out of a list that carries `flow`, before that is read."""
    for writer, name, reader in zip(flow.steps, flow.variables, flow.steps[1:], strict=False):
        for command in project.files[writer.path].commands:
            is_between = writer.span.end <= command.span.start and (
                reader.path != writer.path or command.span.start < reader.span.start
            )
            words = [argument.text for argument in command.arguments[:2]]
            takes = command.name == "list" and words[1:] == [name] and words[0].upper() in ("REMOVE_ITEM", "FILTER")
            if is_between and takes and command.function in (None, writer.function):
                yield command


def _takes_out(
    project: CMakeProject, command: Command, flow: Flow, follow: Callable[[Command], Iterable[Flow]]
) -> bool:  # fmt: skip
    text = _element(project, flow)
    if command.first.upper() == "REMOVE_ITEM":
        return any(_element(project, one) == text for one in follow(command))
    words = [argument.text for argument in command.arguments[2:5]]
    if len(words) < 3 or words[1].upper() != "REGEX":
        return False
    try:
        found = re.search(words[2].replace("\\\\", "\\"), text) is not None
    except re.error:
        return False
    return found is (words[0].upper() == "EXCLUDE")


def _element(project: CMakeProject, flow: Flow) -> str:
    """The element of the list as CMake has it: patterns find whole paths, unless they are asked for relative ones."""
    if not flow.glob:
        text = project.expand(flow.item.text, flow.steps[0].path)
        return posixpath.normpath(text) if text.startswith("/") else text
    relative = any(argument.text == "RELATIVE" for argument in flow.steps[0].arguments)
    return flow.path if relative else f"/{flow.path}"
