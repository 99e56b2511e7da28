"""The file that a target makes: a stable target that is modelled on a legacy one has a file of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch_stabilize.buildfiles.cmake.flow import written_list
from torch_stabilize.buildfiles.cmake.run import CMakeRun
from torch_stabilize.buildfiles.cmake.syntax import VARIABLE, Argument, Command
from torch_stabilize.buildfiles.codes import FILE_NAMED_OUTSIDE
from torch_stabilize.model import Severity, Span

_NAMES = re.compile(r"(?:(?:ARCHIVE|LIBRARY|RUNTIME)_)?OUTPUT_NAME(?:_[A-Z]+)?")


def own_file(run: CMakeRun, command: Command, legacy: str, name: str) -> dict[Span, str]:
    """Where `command`, repeated for the target `name`, would give it the file name of `legacy`: its own name instead.

    Two targets with one file name overwrite each other's file.
    """
    found = {}
    for argument in _file_names(command):
        found[argument.span] = f'"{name}"' if argument.quoted else name
        if outside := sorted(_given_from_outside(run, argument, command)):
            run.report(
                FILE_NAMED_OUTSIDE, Severity.ERROR, command.path, argument.span,
                f"the file of {legacy} is named by {', '.join(outside)}, which no CMake file sets; that of {name} is "
                f"called {name}",
                f"Whatever sets it, and copies or installs the file of {legacy}, has to do so with {name} as well.",
            )  # fmt: skip
    return found


def _file_names(command: Command) -> Iterator[Argument]:
    """The arguments that name the file of a target."""
    if command.name not in ("set_target_properties", "set_property"):
        return
    words = [argument.text for argument in command.arguments]
    mark = "PROPERTIES" if command.name == "set_target_properties" else "PROPERTY"
    start = words.index(mark) + 1 if mark in words else len(words)
    for key, value in zip(words[start::2], command.arguments[start + 1 :: 2], strict=False):
        if _NAMES.fullmatch(key):
            yield value


def _given_from_outside(run: CMakeRun, argument: Argument, command: Command) -> set[str]:
    """The variables in `argument` that whoever calls CMake gives."""
    files = run.project.files.values()
    written = {written_list(one) for file in files for one in file.commands}
    unknown = VARIABLE.findall(run.project.expand(argument.text, command.path))
    return {name for name in unknown if name not in written and not name.startswith("CMAKE_")}
