"""How sources reach build targets: literals in lists, lists in lists, lists in the calls that define a target.

`set`, `list(APPEND)` and `file(GLOB)` are followed backwards from the call that defines a target, through the
definitions that reach it: a `set` around or next to the reader hides what stood before it, and an arm of an `if` does
not reach the other arms.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch_stabilize.buildfiles.cmake.globs import glob_matches
from torch_stabilize.buildfiles.cmake.model import Definition, Flow
from torch_stabilize.buildfiles.cmake.removed import without_removed
from torch_stabilize.buildfiles.cmake.syntax import (
    VARIABLE,
    Argument,
    Block,
    CMakeFile,
    Command,
    Frame,
    Item,
    read_cmake,
)
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES

MAKES_TARGET = frozenset(
    ("add_library", "add_executable", "python_add_library", "pybind11_add_module", "nanobind_add_module",
     "cuda_add_library", "hip_add_library")
)  # fmt: skip
_DEFINER_NAME = re.compile(
    r"(add|define|build).*(extension|module|library|target)|(extension|module|library).*(add|define)"
)
_SOURCE_KEYWORDS = frozenset(("SOURCES", "SOURCE", "SRCS"))
_KEYWORD = re.compile(r"[A-Z][A-Z_0-9]+\Z")
_ROOTS = frozenset(("CMAKE_CURRENT_SOURCE_DIR", "CMAKE_SOURCE_DIR", "PROJECT_SOURCE_DIR", "CMAKE_CURRENT_LIST_DIR"))
GLOB_OPTIONS = frozenset(("CONFIGURE_DEPENDS", "LIST_DIRECTORIES", "RELATIVE", "FOLLOW_SYMLINKS", "true", "false"))
_WILDCARD = re.compile(r"[*?[]")


@dataclass(frozen=True)
class CMakeProject:
    """All CMake files of a repository, and the files their paths can mean."""

    files: Mapping[str, CMakeFile]
    snapshot: Snapshot

    def source_dir(self, path: str) -> str:
        """The folder that relative source paths of the CMake file `path` start from."""
        folder = posixpath.dirname(path)
        if posixpath.basename(path) == "CMakeLists.txt":
            return folder
        while folder and not self.snapshot.exists(f"{folder}/CMakeLists.txt"):
            folder = posixpath.dirname(folder)
        return folder

    @cached_property
    def constants(self) -> dict[str, str]:
        """Variables that are set exactly once, to one literal or path."""
        values: dict[str, list[str]] = {}
        for file in self.files.values():
            for command in file.commands:
                if command.name == "set" and len(command.arguments) > 1:
                    usual = len(command.arguments) == 2 or command.arguments[2].text == "CACHE"
                    values.setdefault(command.first, []).append(command.arguments[1].text if usual else "")
                elif command.name in ("list", "file") and len(command.arguments) > 1:
                    values.setdefault(command.arguments[1].text, []).append("")
        return {name: found[0] for name, found in values.items() if len(found) == 1 and found[0]}

    @cached_property
    def domains(self) -> dict[str, tuple[str, ...]]:
        """Variables that the files only ever give literal values, at least two of them: name -> values."""
        values: dict[str, set[str]] = {}
        opaque: set[str] = set()
        for file in self.files.values():
            for command in file.commands:
                written = self._written(command)
                if written is None:
                    continue
                name, items = written
                literal = command.name == "set" and len(items) == 1 and "$" not in items[0].text
                values.setdefault(name, set())
                if literal:
                    values[name].add(items[0].text)
                else:
                    opaque.add(name)
        return {
            name: tuple(sorted(found)) for name, found in values.items() if name not in opaque and 1 < len(found) <= 4
        }

    @cached_property
    def definers(self) -> dict[str, int]:
        """Functions and macros of the project that define a target: name -> index of the argument that names it."""
        found: dict[str, int] = {}
        grown = True
        while grown:
            grown = False
            for file in self.files.values():
                for command in file.commands:
                    function = command.function
                    if function is None or not self._defines(command, found):
                        continue
                    name = function.arguments[0].lower()
                    match = VARIABLE.fullmatch(self._target_argument(command, found))
                    if match and name not in found and match.group(1) in function.arguments[1:]:
                        found[name] = function.arguments.index(match.group(1)) - 1
                        grown = True
        return found

    @cached_property
    def composing(self) -> dict[str, tuple[Block, CMakeFile]]:
        """Functions and macros of the project that make a library under a name composed of what they are given."""
        found = {}
        for file in self.files.values():
            for command in file.commands:
                function = command.function
                if function is None or command.name not in MAKES_TARGET or command.name == "add_executable":
                    continue
                target = self._target_argument(command, {})
                named = [match for match in VARIABLE.findall(target) if match in function.arguments[1:]]
                if named and not VARIABLE.fullmatch(target):
                    found[function.arguments[0].lower()] = (function, file)
        return found

    def _defines(self, command: Command, functions: Mapping[str, int]) -> bool:
        if command.name in MAKES_TARGET or command.name in functions:
            return True
        words = {argument.text for argument in command.arguments}
        return bool(_DEFINER_NAME.search(command.name)) and bool(words & _SOURCE_KEYWORDS)

    @staticmethod
    def _target_argument(command: Command, functions: Mapping[str, int]) -> str:
        index = functions.get(command.name, 0)
        return command.arguments[index].text if index < len(command.arguments) else ""

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        """Every call that defines a target whose name is known, in file order."""
        return tuple(one for one in self._named if _is_text(one.name))

    @cached_property
    def misnamed(self) -> tuple[Definition, ...]:
        """Those that define a target whose name is no UTF-8: no module of Python has such a name."""
        return tuple(one for one in self._named if not _is_text(one.name))

    @cached_property
    def _named(self) -> tuple[Definition, ...]:
        found = []
        for file in self.files.values():
            for command in file.commands:
                if not self._defines(command, self.definers):
                    continue
                name = self.expand(self._target_argument(command, self.definers), command.path)
                if name and "$" not in name and "ALIAS" not in {a.text for a in command.arguments[1:2]}:
                    found.append(Definition(name, command))
        return tuple(found)

    def expand(self, text: str, path: str) -> str:
        """`text` with variables of known value replaced; the source folder's variables become its path."""
        for _ in range(4):
            text = VARIABLE.sub(lambda match: self._value(match.group(1), path), text)
        return text

    def _value(self, name: str, path: str) -> str:
        if name in _ROOTS:
            folder = posixpath.dirname(path) if name == "CMAKE_CURRENT_LIST_DIR" else self.source_dir(path)
            return f"/{folder}" if folder else "/."
        return self.constants.get(name, f"${{{name}}}")

    def resolve(self, text: str, path: str) -> str | None:
        """The repository path that `text`, written in the CMake file `path`, means; None where that is unknown."""
        text = self.expand(text, path)
        if "$" in text:
            return None
        bases = (self.source_dir(path), posixpath.dirname(path), "")
        candidates = [posixpath.normpath(posixpath.join(base, text.lstrip("/"))) for base in bases]
        if text.startswith("/"):
            candidates = [posixpath.normpath(text.lstrip("/")), *candidates]
        return next((c for c in candidates if self.snapshot.exists(c)), candidates[0])

    def rewrite_path(self, text: str, old: str, new: str, path: str) -> str:
        """How to write `new` where the CMake file `path` has `text` for `old`: the same way, as far as possible."""
        tail = old
        while tail and not text.endswith(tail):
            tail = tail.partition("/")[2]
        head, old_head = text[: len(text) - len(tail)], old[: len(old) - len(tail)]
        if tail and new.startswith(old_head):
            return head + new[len(old_head) :]
        relative = posixpath.relpath(new, self.source_dir(path) or ".")
        return f"${{CMAKE_CURRENT_SOURCE_DIR}}/{relative}" if text.startswith("${") else relative

    @cached_property
    def _known_flows(self) -> dict[Definition, tuple[Flow, ...]]:
        """What was asked for so far."""
        return {}

    def flows(self, definition: Definition) -> tuple[Flow, ...]:
        """Every source of a target, in the order it is found from the definition backwards."""
        if definition not in self._known_flows:
            self._known_flows[definition] = self._read_flows(definition)
        return self._known_flows[definition]

    def _read_flows(self, definition: Definition) -> tuple[Flow, ...]:
        found: list[Flow] = []
        command = definition.command
        for argument in self.source_arguments(command):
            found.extend(self._follow(argument.items, (command,), (), definition, frozenset()))
        namesakes = [other for other in self.definitions if other.name == definition.name]
        files = [self.files[command.path]] if len(namesakes) > 1 else self.files.values()
        for file in files:
            for other in file.commands:
                if other.name == "target_sources" and self.expand(other.first, other.path) == definition.name:
                    items = [item for argument in other.arguments[1:] for item in argument.items]
                    found.extend(self._follow(items, (other,), (), definition, frozenset()))

        def named(removal: Command) -> Iterator[Flow]:
            items = [item for argument in removal.arguments[2:] for item in argument.items]
            return self._follow(items, (removal,), (), definition, frozenset())

        left = without_removed(self, found, named)
        return tuple({flow.places: flow for flow in left}.values())

    def source_arguments(self, command: Command) -> tuple[Argument, ...]:
        """The arguments of a defining call that can hold sources."""
        arguments = command.arguments[1:]
        if not any(argument.text in _SOURCE_KEYWORDS for argument in arguments):
            return arguments
        chosen = []
        inside = False
        for argument in arguments:
            if not argument.quoted and _KEYWORD.match(argument.text):
                inside = argument.text in _SOURCE_KEYWORDS
            elif inside:
                chosen.append(argument)
        return tuple(chosen)

    def _follow(
        self,
        items: list[Item] | tuple[Item, ...],
        steps: tuple[Command, ...],
        variables: tuple[str, ...],
        definition: Definition,
        seen: frozenset[tuple[int, str]],
    ) -> Iterator[Flow]:
        reader = steps[0]
        for item in items:
            match = VARIABLE.fullmatch(item.text)
            if match:
                name = match.group(1)
                for writer, written in self.writers(name, reader):
                    key = (writer.span.start, name)
                    if key in seen:
                        continue
                    same_list = bool(variables) and variables[0] == name
                    path = (writer, *steps[1:]) if same_list else (writer, *steps)
                    names = variables if same_list else (name, *variables)
                    if writer.name == "file":
                        yield from self._globbed(writer, path, names, definition, seen | {key})
                    else:
                        yield from self._follow(written, path, names, definition, seen | {key})
            elif item.text.endswith(SOURCE_SUFFIXES):
                resolved = self.resolve(item.text, reader.path)
                if resolved is not None:
                    yield Flow(resolved, item, steps, variables, definition)

    def _globbed(
        self,
        writer: Command,
        steps: tuple[Command, ...],
        variables: tuple[str, ...],
        definition: Definition,
        seen: frozenset[tuple[int, str]],
    ) -> Iterator[Flow]:
        recursive = writer.first.upper() == "GLOB_RECURSE"
        for argument in writer.arguments[2:]:
            if argument.text in GLOB_OPTIONS:
                continue
            pattern = self.resolve(argument.text, writer.path)
            if pattern is None:  # `file(GLOB all ${cpp} ${cuda})` joins lists: a file's own name finds that file
                for flow in self._follow(argument.items, steps, variables, definition, seen):
                    if not _WILDCARD.search(flow.path):
                        yield flow
                continue
            if not pattern:
                continue
            beginning = _WILDCARD.split(pattern, maxsplit=1)[0]
            if recursive:  # its last part is matched in all folders below
                beginning = beginning[: beginning.rfind("/") + 1]
            for path in self.snapshot.below(beginning.rpartition("/")[0]):
                if path.startswith(beginning) and glob_matches(pattern, path, recursive=recursive):
                    item = Item(argument.span, argument.text, argument.quoted)
                    yield Flow(path, item, steps, variables, definition, glob=True)

    def writers(self, name: str, reader: Command) -> Iterator[tuple[Command, tuple[Item, ...]]]:
        """The commands that give the list `name` elements that `reader` can see, last first."""
        found = False
        for command, items in self._writers_in(reader.path, name):
            if command.span.start >= reader.span.start or command.function not in (None, reader.function):
                continue
            if exclusive(command.frames, reader.frames):
                continue
            found = True
            yield command, items
            if command.name in ("set", "file") and is_around(command.frames, reader.frames):
                return
        if found:
            return
        for path in self.files:  # a list that an included file defines
            for command, items in self._writers_in(path, name) if path != reader.path else ():
                if command.function is None:
                    yield command, items

    @cached_property
    def _by_list(self) -> dict[tuple[str, str], list[tuple[Command, tuple[Item, ...]]]]:
        """For each file and list the commands that write it, last first, with the elements they give it."""
        found: dict[tuple[str, str], list[tuple[Command, tuple[Item, ...]]]] = {}
        for path, file in self.files.items():
            for command in reversed(file.commands):
                if (written := self._written(command)) is not None:
                    found.setdefault((path, written[0]), []).append((command, written[1]))
        return found

    def _writers_in(self, path: str, name: str) -> Sequence[tuple[Command, tuple[Item, ...]]]:
        return self._by_list.get((path, name), ())

    @staticmethod
    def _written(command: Command) -> tuple[str, tuple[Item, ...]] | None:
        """(list, elements) where the command writes a list."""
        arguments = command.arguments
        if command.name == "set" and len(arguments) > 1:
            values = arguments[1:]
            stop = next((i for i, a in enumerate(values) if a.text in ("CACHE", "PARENT_SCOPE")), len(values))
            return command.first, tuple(item for argument in values[:stop] for item in argument.items)
        if command.name == "list" and len(arguments) > 2 and command.first.upper() in ("APPEND", "PREPEND"):
            return arguments[1].text, tuple(item for argument in arguments[2:] for item in argument.items)
        if command.name == "file" and len(arguments) > 2 and command.first.upper().startswith("GLOB"):
            return arguments[1].text, tuple(item for argument in arguments[2:] for item in argument.items)
        return None


def written_list(command: Command) -> str | None:
    """The list that a `set`, `list(APPEND)` or `file(GLOB)` writes; None for other commands."""
    if command.name == "set" and len(command.arguments) == 1:
        return command.first
    written = CMakeProject._written(command)
    return written[0] if written else None


def is_around(outer: tuple[Frame, ...], inner: tuple[Frame, ...]) -> bool:
    """Whether code in `inner` is also in every block of `outer`."""
    return inner[: len(outer)] == outer


def exclusive(first: tuple[Frame, ...], second: tuple[Frame, ...]) -> bool:
    """Whether the two places are different arms of one `if`."""
    for one, other in zip(first, second, strict=False):
        if one != other:
            return one.block == other.block and one.block.kind == "if"
    return False


def read_project(snapshot: Snapshot, paths: tuple[str, ...]) -> CMakeProject:
    """Parse the CMake files `paths`. Raises Refusal for one that has a syntax error."""
    return CMakeProject({path: read_cmake(path, snapshot.read(path)) for path in paths}, snapshot)


def _is_text(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
