"""The extension modules a repository builds, from its CMake and setup files.

A quick reading of CMake that knows variables and nothing else; which unit belongs to which target, with conditions,
is `targets.py`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from posixpath import basename, dirname
from typing import NamedTuple

from torch_stabilize.model import Span
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import BESIDE_FOLDERS, FOREIGN_FOLDERS, join

_NAMES_SOURCE = re.compile(r"\.(?:cu|cpp|cc|cxx)\b")
_MAKES_LIBRARY = re.compile(r"\b(?:\w+_)?add_library\s*\(\s*\$\{", re.IGNORECASE)
TOOL_FOLDERS = frozenset({"tools", "scripts", "cmake", "ci", "build_tools", "_build", "docker"})
_BUILD_HELPER = re.compile(rb"\b\w*Extension\s*\(")
_CMAKE_COMMENT = re.compile(r"#\[\[.*?\]\]|#[^\n]*", re.DOTALL)
_CMAKE_COMMAND = re.compile(r"\b(?P<name>\w+)[ \t]*\((?P<arguments>(?:\"(?:\\.|[^\"\\])*\"|\([^()]*\)|[^()\"])*)\)")
_CMAKE_TARGET = re.compile(
    r"define_extension_target|pybind11_add_module|nanobind_add_module|python[0-9]*_add_library|torch_add_extension",
    re.I,
)
_CMAKE_VARIABLE = re.compile(r"\$\{(\w+)\}")
_WITHIN_PATH = re.compile(r"[\w./-]")
_FILE_NAME = re.compile(r"[\w.-]+")
_WORD = re.compile(r"\w+")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


class Module(NamedTuple):
    """A Python module that a build file makes: its name without packages, and the text that names its sources."""

    name: str
    sources: str
    path: str  # the build file

    def names(self, source: str) -> int:
        """How many components of the path `source` the module's sources spell out, counted from its end; 0 for none."""
        parts = source.split("/")
        if parts[-1] not in self.sources:
            return 0
        for start in range(len(parts)):
            if self._spells("/".join(parts[start:])):
                return len(parts) - start
        return 0

    def _spells(self, path: str) -> bool:
        """Whether `path` is in the sources by itself: "moe/ops.cpp" does not spell "ops.cpp"."""
        place = self.sources.find(path)
        while place >= 0:
            before, behind = self.sources[max(0, place - 2) : place], self.sources[place + len(path) :][:1]
            # A variable or a dot for a folder may stand before it.
            starts = before in ("}/", "./") or not _WITHIN_PATH.fullmatch(before[-1:])
            if starts and not (behind.isalnum() or behind in ("_", "-")):
                return True
            place = self.sources.find(path, place + 1)
        return False

    def owns(self, source: str) -> bool:
        """Whether the sources spell out `source` with its whole path from the build file's folder."""
        folder = self.path.rpartition("/")[0]
        below = source.removeprefix(f"{folder}/") if folder else source
        if (folder and below == source) or not self._spells(below):
            return False
        return not folder or len(below.split("/")) == self.names(source)


@dataclass(frozen=True)
class BuildFiles:
    """The build files of the project at `root`, those of tests, examples and vendored projects left out."""

    snapshot: Snapshot
    root: str

    @cached_property
    def cmake(self) -> dict[str, str]:
        """The CMake files that name a source, define a module or a function that makes one, and the project's own."""
        texts = {}
        main = join(self.root, "CMakeLists.txt")
        for path in self.files(("CMakeLists.txt", ".cmake")):
            text = self._text(path)
            if path == main or _NAMES_SOURCE.search(text) or _MAKES_LIBRARY.search(text) or cmake_modules(path, text):
                texts[path] = text
        return texts

    @cached_property
    def setup(self) -> dict[str, str]:
        """setup.py, and the helpers it names that make extension objects, by path.

        Where there is none, those of folders of the project count that build sources of other folders.
        """
        setup = join(self.root, "setup.py")
        texts = {setup: self._text(setup)} if self.snapshot.exists(setup) else {}
        if not texts:
            return {path: self._text(path) for path in self.files(("/setup.py",)) if self._builds_others(path)}
        named = texts.get(setup, "")
        words = frozenset(_WORD.findall(named))
        for path in self.files((".py",)):
            folders = path.removeprefix(self.root).strip("/").split("/")[:-1]
            near = not folders or (len(folders) == 1 and folders[0] in TOOL_FOLDERS)
            is_helper = path != setup and near and _is_named(basename(path)[:-3], named, words)
            if is_helper and _BUILD_HELPER.search(self.snapshot.read(path)):
                texts[path] = self._text(path)
        return texts

    def _builds_others(self, setup: str) -> bool:
        """Whether a setup.py one folder down builds sources from outside of its folder."""
        folder = dirname(setup)
        if dirname(folder) != self.root:
            return False
        from torch_stabilize.buildfiles.setup.evaluate.read import read_setup_file

        entries = [one.entry for one in read_setup_file(self.snapshot, setup).entries]
        paths = [source.path for entry in entries for source in entry.sources]
        return any(self.snapshot.exists(path) and not path.startswith(f"{folder}/") for path in paths)

    @cached_property
    def kernels(self) -> dict[str, str]:
        """The `build.toml` of kernel-builder."""
        from torch_stabilize.buildfiles.kernels.read import NAME, is_build_toml

        path = join(self.root, NAME)
        is_one = self.snapshot.exists(path) and is_build_toml(self.snapshot.read(path))
        return {path: self._text(path)} if is_one else {}

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """The modules they make, CMake's first.

        CMakeLists.txt counts before the files it includes: those hold the alternative builds.
        """
        cmake = sorted(self.cmake, key=lambda path: (basename(path) != "CMakeLists.txt", path.count("/"), path))
        return (
            *(module for path in cmake for module in cmake_modules(path, self._written_out(path))),
            *(module for path in self.setup for module in setup_modules(self.snapshot, path)),
            *_modules_of_kernels(self),
            *_compiled_modules(self),
        )

    def _written_out(self, path: str) -> str:
        """A CMake file with the loops that make libraries written out."""
        from torch_stabilize.buildfiles.cmake.written_loops import loops_of

        found = loops_of(self.snapshot, tuple(sorted(self.cmake))).get(path)
        return self.cmake[path] if found is None else found.file.data.decode("utf-8", "surrogateescape")

    @cached_property
    def _by_file_name(self) -> dict[str, list[Module]]:
        """The modules by what their sources may call a file, up to each dot of it."""
        found: dict[str, dict[int, Module]] = {}
        for place, module in enumerate(self.modules):
            for word in set(_FILE_NAME.findall(module.sources)):
                ends = [dot for dot, letter in enumerate(word) if letter == "."]
                for end in (*ends, len(word)):
                    found.setdefault(word[:end], {})[place] = module
        return {name: list(modules.values()) for name, modules in found.items()}

    def naming(self, source: str) -> Sequence[Module]:
        """The modules that may name `source`, in their order."""
        name = basename(source)
        return self._by_file_name.get(name, ()) if _FILE_NAME.fullmatch(name) else self.modules

    def module_of(self, source: str) -> str | None:
        """The module whose sources name `source` with most of its path; the first of several."""
        ranked = [(module.names(source), module.name) for module in self.naming(source)]
        most = max((count for count, _ in ranked), default=0)
        return next((name for count, name in ranked if count == most), None) if most else None

    def files(self, endings: tuple[str, ...]) -> list[str]:
        """The project's own files that end in one of `endings`."""
        skipped = FOREIGN_FOLDERS | BESIDE_FOLDERS
        prefix = f"{self.root}/" if self.root else ""
        below = self.snapshot.below(self.root, endings)
        return [path for path in below if not skipped.intersection(path.removeprefix(prefix).split("/")[:-1])]

    def _text(self, path: str) -> str:
        return self.snapshot.read(path).decode("utf-8", "surrogateescape")


def _is_named(module: str, text: str, words: Set[str]) -> bool:
    """Whether `text`, which has these words, names a module."""
    if module in words:
        return True
    return _WORD.fullmatch(module) is None and re.search(rf"\b{re.escape(module)}\b", text) is not None


def build_files(snapshot: Snapshot, root: str) -> BuildFiles:
    """The build files of the project at `root`, read once for a tree."""
    return snapshot.once((BuildFiles, root), lambda: BuildFiles(snapshot, root))


def _modules_of_kernels(files: BuildFiles) -> Iterator[Module]:
    """The modules that kernel-builder makes, those of all backends under one name."""
    from torch_stabilize.buildfiles.kernels.read import read_kernel_entries

    found: dict[str, list[str]] = {}
    for entry in read_kernel_entries(files.snapshot, tuple(files.kernels))[0]:
        named = (repr(posixpath.relpath(source.path, files.root or ".")) for source in entry.sources)
        found.setdefault(entry.name, []).extend(named)
    for name, sources in found.items():
        if _IDENTIFIER.fullmatch(name):
            yield Module(name, "\n".join(dict.fromkeys(sources)), next(iter(files.kernels)))


def _compiled_modules(files: BuildFiles) -> Iterator[Module]:
    """The modules that Python itself compiles."""
    from torch_stabilize.buildfiles.jit.read import jit_files, read_jit_entries

    for entry in read_jit_entries(files.snapshot, jit_files(files))[0]:
        if _IDENTIFIER.fullmatch(entry.name):
            texts = (repr(posixpath.relpath(source.path, files.root or ".")) for source in entry.sources)
            yield Module(entry.name, "\n".join(texts), join(files.root, posixpath.basename(entry.file)))


def cmake_modules(path: str, text: str) -> tuple[Module, ...]:
    """The extension modules that the CMake file at `path` defines, in order."""
    variables: dict[str, str] = {}
    found: list[Module] = []
    for command in _CMAKE_COMMAND.finditer(_CMAKE_COMMENT.sub(" ", text)):
        name = command.group("name").lower()
        words = command.group("arguments").split(None, 1)
        rest = words[1] if len(words) > 1 else ""
        if name == "set" and words:
            variables[words[0]] = _expand(rest, variables)
        elif name == "list" and words and words[0].upper() in ("APPEND", "PREPEND") and rest:
            variable, _, values = rest.partition(" ") if " " in rest.split("\n", 1)[0] else rest.partition("\n")
            variable = variable.strip()
            variables[variable] = variables.get(variable, "") + " " + _expand(values, variables)
        elif words and (
            _CMAKE_TARGET.fullmatch(name) or (name == "add_library" and re.match(r"(MODULE|SHARED)\b", rest))
        ):
            module = _expand(words[0], variables).strip('"')
            if _IDENTIFIER.fullmatch(module):
                found.append(Module(module, _expand(rest, variables), path))
    return tuple(found)


def _expand(text: str, variables: dict[str, str]) -> str:
    return _CMAKE_VARIABLE.sub(lambda match: variables.get(match.group(1), match.group()), text)


def setup_modules(snapshot: Snapshot, path: str) -> tuple[Module, ...]:
    """The extension modules that the setup file at `path` makes under a name that is known, in order.

    Their sources are spelled out as far as they were read; a list that was not read all the same names what it names.
    """
    from torch_stabilize.buildfiles.setup.evaluate.read import read_setup_file

    found: dict[tuple[int, str], list[str]] = {}
    for one in read_setup_file(snapshot, path).entries:
        entry = one.entry
        if entry.file == path and _IDENTIFIER.fullmatch(entry.name):
            texts = found.setdefault((entry.span.start, entry.name), [])
            texts += [repr(posixpath.relpath(source.path, dirname(path) or ".")) for source in entry.sources]
            texts += [_text(snapshot, gap.path, gap.span) for gap in entry.gaps]
    return tuple(Module(name, "\n".join(dict.fromkeys(texts)), path) for (_, name), texts in found.items())


def _text(snapshot: Snapshot, path: str, span: Span) -> str:
    return snapshot.read(path)[span.start : span.end].decode("utf-8", "replace")
