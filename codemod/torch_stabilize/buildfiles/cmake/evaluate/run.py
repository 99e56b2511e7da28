"""The interpreter: variables, lists, functions, included files, and the settings of targets.

A build is assumed as a release is built: conditions hold or not by the values that the files give variables and by what
is preset (`presets`). What programs would say, and what finds packages, is not run: packages are found, outputs are
empty. Nothing of it guesses a flag: what is not reached is not there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.evaluate.conditions import holds, is_for_another_gpu, is_true
from torch_stabilize.buildfiles.cmake.evaluate.generator import split_outside
from torch_stabilize.buildfiles.cmake.syntax import Argument, Block, CMakeFile, Command, read_cmake
from torch_stabilize.model import Refusal, Span
from torch_stabilize.repository.snapshot import Snapshot

_REFERENCE = re.compile(r"\$(ENV|CACHE)?\{([^${}]*)\}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_OF_CUDA_BUILD = re.compile(r"(?:\A|_)(?:CUDA|GPU)\Z")  # switches: WITH_CUDA, PROJECT_GPU
_TURNED_OFF = frozenset(("NO", "NOT", "DISABLE", "WITHOUT", "SKIP"))
_MOST_STEPS = 200_000
_DEEPEST = 60
DEFINERS = frozenset(
    ("add_library", "add_executable", "python_add_library", "python3_add_library", "pybind11_add_module",
     "nanobind_add_module", "cuda_add_library", "cuda_add_executable", "hip_add_library", "torch_add_library")
)  # fmt: skip
_SCOPES = frozenset(("PRIVATE", "PUBLIC", "INTERFACE", "BEFORE", "AFTER", "SYSTEM"))


class Function(NamedTuple):
    """A function or macro of the project."""

    block: Block
    file: CMakeFile
    folder: str


@dataclass
class Settings:
    """What a target, a folder or a source is compiled with, as texts that may hold generator expressions.

    Definitions are options: "-DNAME=value". `links` are other targets, which pass theirs on; `folder` are the settings
    of the folder that a target is defined in, which hold for it wherever in the file they are given.
    """

    options: list[str] = field(default_factory=list)
    handed_on: list[str] = field(default_factory=list)  # to whoever links it
    folder: Settings | None = None
    links: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


class _Return(Exception):
    """`return()`: the end of a function or file."""


class _Leave(Exception):
    """`break()` or `continue()`; the argument says which."""


@dataclass
class Frame:
    """The variables of a function, a folder or a `block()`, with those of whoever called it."""

    values: dict[str, str | None] = field(default_factory=dict)
    parent: Frame | None = None

    def find(self, name: str) -> str | None:
        """The value of a variable, from here outwards."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.values:
                return frame.values[name]
            frame = frame.parent
        return None


@dataclass
class Interpreter:
    """One run over the CMake files of a project. `with_cuda` says whether it is a build for CUDA.

    `commands` are the commands of CMake that it knows, each with what it does to the run.
    """

    snapshot: Snapshot
    presets: Mapping[str, str]
    with_cuda: bool
    commands: Mapping[str, Callable[[Interpreter, list[str]], None]]
    targets: dict[str, Settings] = field(default_factory=dict)
    sources: dict[str, Settings] = field(default_factory=dict)  # of single files, by their paths
    cache: dict[str, str] = field(default_factory=dict)
    frame: Frame = field(default_factory=Frame)
    folder: str = ""  # of the CMakeLists.txt that is read
    file: str = ""
    directory: Settings = field(default_factory=Settings)
    flags: dict[str, str] = field(default_factory=dict)  # CMAKE_<language>_FLAGS at the end of the file
    _functions: dict[str, Function] = field(default_factory=dict)
    _replaced: list[dict[str, str]] = field(default_factory=list)  # the arguments of macros that run
    _steps: int = 0
    _depth: int = 0

    def run(self, path: str) -> None:
        """Run the file `path`, a project's CMakeLists.txt."""
        self.folder = posixpath.dirname(path)
        self.frame = Frame({**self.presets, "CMAKE_SOURCE_DIR": f"/{self.folder}"})
        self._file(path)
        for language in ("CXX", "CUDA"):
            self.flags[language] = self.value(f"CMAKE_{language}_FLAGS") or ""

    # What conditions ask.

    def value(self, name: str) -> str | None:
        """The value of a variable: of a macro's argument, a variable, or one of the cache."""
        for replaced in reversed(self._replaced):
            if name in replaced:
                return replaced[name]
        if name in ("CMAKE_CURRENT_SOURCE_DIR", "CMAKE_CURRENT_BINARY_DIR"):
            return f"/{self.folder}"
        if name == "CMAKE_CURRENT_LIST_DIR":
            return f"/{posixpath.dirname(self.file)}"
        if name == "CMAKE_CURRENT_LIST_FILE":
            return f"/{self.file}"
        found = self.frame.find(name)
        return self.cache.get(name) if found is None else found

    def expand(self, text: str) -> str:
        """`text` with its variables replaced, inside out."""
        if "$" in text:
            for _ in range(20):
                replaced = _REFERENCE.sub(self._referred, text)
                if replaced == text:
                    break
                text = replaced
        return text

    def is_target(self, name: str) -> bool:
        """Whether a target of that name was defined, or is one that a package brings."""
        return name in self.targets or ("::" in name and (self.with_cuda or not name.startswith("CUDA")))

    def is_command(self, name: str) -> bool:
        """Whether the project defines a function or macro of that name."""
        return name.lower() in self._functions

    def is_path(self, text: str) -> bool:
        """Whether that file or folder is one of the repository, or a library that builds of torch for CUDA have."""
        path = self.path(text)
        if path.endswith((".so", ".a")) and "cuda" in posixpath.basename(path).lower():
            return self.with_cuda
        return self.snapshot.exists(path) or any(file.startswith(f"{path}/") for file in self.snapshot.files)

    def path(self, text: str) -> str:
        """A path of the repository as the current folder means it."""
        if text.startswith("/"):
            return posixpath.normpath(text.lstrip("/") or ".")
        return posixpath.normpath(posixpath.join(self.folder, text))

    def _referred(self, match: re.Match[str]) -> str:
        return "" if match[1] else self.value(match[2]) or ""

    # Running.

    def _file(self, path: str) -> None:
        try:
            file = read_cmake(path, self.snapshot.read(path))
        except (Refusal, OSError):
            return
        before, self.file = self.file, path
        try:
            self._body(file, Span(0, len(file.data)), self.folder)
        except _Return:
            pass
        finally:
            self.file = before

    def _body(self, file: CMakeFile, within: Span, folder: str) -> None:
        """Run what is in a stretch of a file, in its order."""
        for item in _inside(file, within):
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise _Return
            if isinstance(item, Command):
                self._command(item)
            else:
                self._block(file, item, folder)

    def _block(self, file: CMakeFile, block: Block, folder: str) -> None:
        if block.kind == "if":
            for branch in block.branches:
                if branch.keyword == "else" or holds(branch.condition, self):
                    self._body(file, branch.body, folder)
                    return
        elif block.kind in ("function", "macro"):
            self._functions[block.arguments[0].lower()] = Function(block, file, folder)
        elif block.kind == "foreach":
            self._foreach(file, block, folder)
        elif block.kind == "block":
            self._body(file, block.branches[0].body, folder)

    def _foreach(self, file: CMakeFile, block: Block, folder: str) -> None:
        name, *words = block.arguments
        values: list[str] = []
        kind = ""
        for word in words:
            if word in ("IN", "LISTS", "ITEMS", "RANGE"):
                kind = word
            elif kind == "LISTS":
                values += _listed(self.value(self.expand(word)) or "")
            else:
                values += _listed(self.expand(word))
        if kind == "RANGE":
            values = _range(values)
        for value in values:
            self.frame.values[name] = value
            try:
                self._body(file, block.branches[0].body, folder)
            except _Leave as leave:
                if str(leave) == "break":
                    break

    def words(self, arguments: Sequence[Argument]) -> list[str]:
        """Arguments as the command gets them: expanded, and parted at semicolons where they are not quoted."""
        found: list[str] = []
        for argument in arguments:
            text = self.expand(argument.text)
            if argument.quoted:
                found.append(_ESCAPE.sub(r"\1", text) if "\\" in text else text)
            else:
                found += _listed(text)
        return found

    def _command(self, command: Command) -> None:
        if command.name == "return":
            raise _Return
        if command.name in ("break", "continue"):
            raise _Leave(command.name)
        function = self._functions.get(command.name)
        words = self.words(command.arguments)
        if function is not None:
            self._call(function, words)
            return
        run = self.commands.get(command.name)
        if run is not None:
            run(self, words)
        if command.name in DEFINERS and words:
            self.define(words)

    def _call(self, function: Function, words: Sequence[str]) -> None:
        if self._depth >= _DEEPEST:
            return
        block, file = function.block, function.file
        names = block.arguments[1:]
        given = dict(zip(names, words, strict=False))
        given |= {"ARGC": str(len(words)), "ARGV": ";".join(words), "ARGN": ";".join(words[len(names) :])}
        given |= {f"ARGV{index}": word for index, word in enumerate(words)}
        self._depth += 1
        before = self.frame
        macros = self._replaced
        try:
            if block.kind == "macro":
                self._replaced = [*macros, given]
                self._body(file, block.branches[0].body, function.folder)
            else:
                self._replaced = []
                self.frame = Frame(dict(given), before)
                self._body(file, block.branches[0].body, function.folder)
        except _Return:
            if block.kind == "macro":
                raise
        finally:
            self.frame, self._replaced = before, macros
            self._depth -= 1

    # What commands do.

    def set(self, name: str, value: str | None, *, for_parent: bool = False) -> None:
        """Give a variable a value, here or where the function was called."""
        frame = self.frame.parent if for_parent and self.frame.parent is not None else self.frame
        frame.values[name] = value

    def set_cached(self, name: str, value: str) -> None:
        """A setting that the user may choose, by its default. A switch for CUDA builds is as the build is."""
        if self.value(name) is not None:
            return
        if _OF_CUDA_BUILD.search(name) and not is_for_another_gpu(name):
            is_on = self.with_cuda != bool(_TURNED_OFF.intersection(name.upper().split("_")))
            value = "ON" if is_on else "OFF"
        elif is_for_another_gpu(name) and is_true(value):
            value = "OFF"
        self.cache[name] = value

    def include(self, text: str) -> None:
        """Run an included file, if it is one of the project."""
        tries = [text] if text.endswith(".cmake") else [f"{text}.cmake", text]
        folders = ["", *(self.value("CMAKE_MODULE_PATH") or "").split(";")]
        for folder in folders:
            for name in tries:
                path = self.path(posixpath.join(folder, name) if folder else name)
                if self.snapshot.exists(path) and self._depth < _DEEPEST:
                    self._depth += 1
                    try:
                        self._file(path)
                    finally:
                        self._depth -= 1
                    return

    def subdirectory(self, text: str) -> None:
        """Run the CMakeLists.txt of a folder, with variables of its own."""
        path = posixpath.join(self.path(text), "CMakeLists.txt")
        if not self.snapshot.exists(path) or self._depth >= _DEEPEST:
            return
        before = self.folder, self.frame, self.directory
        self.folder, self.frame = posixpath.dirname(path), Frame({}, self.frame)
        self.directory = Settings(list(self.directory.options))
        self._depth += 1
        try:
            self._file(path)
        finally:
            self._depth -= 1
            self.folder, self.frame, self.directory = before

    def define(self, words: Sequence[str]) -> None:
        """A target of the folder that is read."""
        target = self.targets.setdefault(words[0], Settings())
        target.folder = self.directory
        target.sources += [self.path(word) for word in words[1:] if "." in word and "$<" not in word]

    def settings(self, name: str) -> Settings:
        """The settings of a target, which may be defined later."""
        return self.targets.setdefault(name, Settings())


def scoped(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The words behind PRIVATE, PUBLIC or INTERFACE, each with that."""
    scope = "PRIVATE"
    for word in words:
        if word in _SCOPES:
            scope = word if word in ("PRIVATE", "PUBLIC", "INTERFACE") else scope
        else:
            yield scope, word


def _inside(file: CMakeFile, within: Span) -> Iterator[Command | Block]:
    """The commands and blocks directly in a stretch of `file`."""
    items: list[Command | Block] = [block for block in file.blocks if within.contains(block.span)]
    items += [command for command in file.commands if within.contains(command.span)]
    end = -1
    for item in sorted(items, key=lambda item: (item.span.start, -item.span.end)):
        if item.span.start >= end:
            yield item
            if isinstance(item, Block):
                end = item.span.end


def _listed(text: str) -> list[str]:
    """The elements of a list; generator expressions keep their semicolons."""
    if ";" not in text:
        return [text] if text else []
    return [part for part in split_outside(text, ";") if part]


def _range(values: Sequence[str]) -> list[str]:
    try:
        numbers = [int(value) for value in values]
    except ValueError:
        return []
    first, last = (0, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1]) if numbers else (0, -1)
    step = numbers[2] if len(numbers) > 2 else 1
    return [str(number) for number in range(first, last + 1, step or 1)][:1000]
