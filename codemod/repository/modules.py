"""The extension modules a repository builds, from its CMake and setup files.

A quick reading that knows variables and nothing else; which unit belongs to which target, with conditions, is
`targets.py`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from posixpath import basename
from typing import NamedTuple

from codemod.repository.setup_calls import bound_calls
from codemod.repository.setup_tree import SetupTree, last_name, read_setup_tree
from codemod.repository.snapshot import Snapshot
from codemod.repository.sources import BESIDE_FOLDERS, FOREIGN_FOLDERS, join

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
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")

_Variables = Mapping[str, Sequence[ast.expr]]


class Module(NamedTuple):
    """A Python module that a build file makes: its name without packages, and the text that names its sources."""

    name: str
    sources: str
    path: str  # the build file

    def names(self, source: str) -> int:
        """How many components of the path `source` the module's sources spell out, counted from its end; 0 for none."""
        parts = source.split("/")
        for start in range(len(parts)):
            if self._spells("/".join(parts[start:])):
                return len(parts) - start
        return 0

    def _spells(self, path: str) -> bool:
        """Whether `path` stands in the sources by itself: "moe/ops.cpp" does not spell "ops.cpp"."""
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
        """setup.py, and the helpers it names that make extension objects, by path."""
        setup = join(self.root, "setup.py")
        texts = {setup: self._text(setup)} if self.snapshot.exists(setup) else {}
        named = texts.get(setup, "")
        for path in self.files((".py",)):
            folders = path.removeprefix(self.root).strip("/").split("/")[:-1]
            near = not folders or (len(folders) == 1 and folders[0] in TOOL_FOLDERS)
            is_named = near and re.search(rf"\b{re.escape(basename(path)[:-3])}\b", named)
            if path != setup and is_named and _BUILD_HELPER.search(self.snapshot.read(path)):
                texts[path] = self._text(path)
        return texts

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """The modules they make, CMake's first.

        CMakeLists.txt counts before the files it includes: those hold the alternative builds.
        """
        cmake = sorted(self.cmake, key=lambda path: (basename(path) != "CMakeLists.txt", path.count("/"), path))
        return (
            *(module for path in cmake for module in cmake_modules(path, self.cmake[path])),
            *(module for path in self.setup for module in self._setup_modules(path)),
        )

    def _setup_modules(self, path: str) -> tuple[Module, ...]:
        tree = read_setup_tree(self.snapshot, path)
        return setup_modules(path, tree) if tree is not None else ()

    def files(self, endings: tuple[str, ...]) -> list[str]:
        """The project's own files that end in one of `endings`."""
        skipped = FOREIGN_FOLDERS | BESIDE_FOLDERS
        prefix = f"{self.root}/" if self.root else ""
        below = self.snapshot.below(self.root, endings)
        return [path for path in below if not skipped.intersection(path.removeprefix(prefix).split("/")[:-1])]

    def _text(self, path: str) -> str:
        return self.snapshot.read(path).decode("utf-8", "surrogateescape")


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


def setup_modules(path: str, tree: SetupTree) -> tuple[Module, ...]:
    """The extension modules that the setup file at `path` makes under a name it spells out, in order.

    Names and sources may stand in variables, loops and functions; a name that is computed at run time is not known.
    """
    variables = tree.assigned

    def makes_module(call: ast.Call) -> bool:
        return last_name(call.func).lower().endswith("extension") or _is_kind(call.func, variables)

    found = []
    for call in bound_calls(tree, makes_module):
        named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
        name = _literal([*named, *call.args][0], variables) if named or call.args else None
        module = (name or "").rpartition(".")[2]
        if _IDENTIFIER.fullmatch(module):
            found.append((call.lineno, call.col_offset, Module(module, _spelled_out(call, variables), path)))
    return tuple(module for _, _, module in sorted(found, key=lambda item: item[:2]))


def _is_kind(function: ast.expr, variables: _Variables) -> bool:
    """Whether a variable holds a class of extensions: `kind = CUDAExtension if cuda else CppExtension`."""
    values = variables.get(function.id, ()) if isinstance(function, ast.Name) else ()
    return bool(values) and all(re.search(r"extension\b", ast.unparse(value).lower()) for value in values)


def _literal(value: ast.expr, variables: _Variables, depth: int = 0) -> str | None:
    """The text `value` is known to be, or None."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.Name) and len(variables.get(value.id, ())) == 1 and depth < 8:
        return _literal(variables[value.id][0], variables, depth + 1)
    parts: list[str | None] = [None]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod):
        return _formatted(value, variables, depth)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        parts = [_literal(side, variables, depth) for side in (value.left, value.right)]
    elif isinstance(value, ast.JoinedStr):
        parts = [_literal(p.value if isinstance(p, ast.FormattedValue) else p, variables, depth) for p in value.values]
    return None if None in parts else "".join(part or "" for part in parts)


def _formatted(value: ast.BinOp, variables: _Variables, depth: int) -> str | None:
    """`"%s.%s" % (package, name)`."""
    form = _literal(value.left, variables, depth) or ""
    given = value.right.elts if isinstance(value.right, ast.Tuple) else [value.right]
    parts = [_literal(part, variables, depth) for part in given]
    if None in parts or not form.count("%s") == form.count("%") == len(parts):
        return None
    return form % tuple(parts)


def _joined(node: ast.ListComp, variables: _Variables) -> list[str]:
    """The paths of `[os.path.join(*package.split("."), name) for name in ["a.cu"]]`, where they are written out."""
    loop, call = node.generators[0], node.elt
    if not (isinstance(loop.iter, (ast.List, ast.Tuple)) and isinstance(loop.target, ast.Name)):
        return []
    if not (isinstance(call, ast.Call) and last_name(call.func) == "join"):
        return []
    found = []
    for one in loop.iter.elts:
        here = {**variables, loop.target.id: [one]}
        parts = [_path_part(argument, here) for argument in call.args]
        if None not in parts:
            found.append("/".join(part or "" for part in parts))
    return found


def _path_part(argument: ast.expr, variables: _Variables) -> str | None:
    """An argument of `join` as text; `*name.split(".")` with slashes for the dots."""
    if not isinstance(argument, ast.Starred):
        return _literal(argument, variables)
    call = argument.value
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "split" and call.args:
        held, mark = _literal(call.func.value, variables), _literal(call.args[0], variables)
        return held.replace(mark, "/") if held is not None and mark else None
    return None


def _spelled_out(call: ast.Call, variables: _Variables) -> str:
    """The text of `call`, then the paths it joins and the values of the variables it uses and of those these use."""
    texts: list[str] = []
    waiting: list[ast.AST] = [call]
    seen: set[str] = set()
    while waiting:
        node = waiting.pop()
        texts.append(ast.unparse(node))
        for name in ast.walk(node):
            if isinstance(name, ast.ListComp):
                texts += map(repr, _joined(name, variables))
            if isinstance(name, ast.Name) and name.id not in seen:
                seen.add(name.id)
                waiting += variables.get(name.id, ())
    return "\n".join(texts)


def module_of(source: str, modules: Iterable[Module]) -> str | None:
    """The module whose sources name `source` with most of its path; the first of several."""
    ranked = [(module.names(source), module.name) for module in modules]
    most = max((count for count, _ in ranked), default=0)
    return next((name for count, name in ranked if count == most), None) if most else None
