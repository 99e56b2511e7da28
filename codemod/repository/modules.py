"""The names of the extension modules a repository builds, from its CMake and setup files.

A quick reading that knows variables and nothing else; which unit belongs to which target, with conditions, is
`targets.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_CMAKE_COMMENT = re.compile(r"#\[\[.*?\]\]|#[^\n]*", re.DOTALL)
_CMAKE_COMMAND = re.compile(r"\b(?P<name>\w+)[ \t]*\((?P<arguments>(?:\"(?:\\.|[^\"\\])*\"|\([^()]*\)|[^()\"])*)\)")
_CMAKE_TARGET = re.compile(
    r"define_extension_target|pybind11_add_module|nanobind_add_module|python[0-9]*_add_library|torch_add_extension",
    re.I,
)
_CMAKE_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SETUP_EXTENSION = re.compile(
    r"\b\w*Extension\(\s*(?:\n\s*)?(?:name\s*=\s*)?f?(?P<quote>[\"'])(?P<name>[\w.{}]+)(?P=quote)(?P<rest>(?:[^()]|\((?:[^()]|\([^()]*\))*\))*)"
)


@dataclass(frozen=True)
class Module:
    """A Python module that a build file makes: its name without packages, and the text that names its sources."""

    name: str
    sources: str
    path: str  # the build file

    def names(self, source: str) -> int:
        """How many components of the path `source` the module's sources spell out, counted from its end; 0 for none."""
        parts = source.split("/")
        for start in range(len(parts)):
            spelled = re.escape("/".join(parts[start:]))
            # Nothing but a variable may stand before it: "moe/ops.cpp" does not name "ops.cpp".
            if re.search(rf"(?:(?<![\w./-])|(?<=\}}/)|(?<=\./)){spelled}(?![\w-])", self.sources):
                return len(parts) - start
        return 0


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
            if re.fullmatch(r"[A-Za-z_]\w*", module):
                found.append(Module(module, _expand(rest, variables), path))
    return tuple(found)


def _expand(text: str, variables: dict[str, str]) -> str:
    return _CMAKE_VARIABLE.sub(lambda match: variables.get(match.group(1), match.group()), text)


def setup_modules(path: str, text: str) -> tuple[Module, ...]:
    """The extension modules that the setup file at `path` makes with a literal name, in order."""
    found = []
    for match in _SETUP_EXTENSION.finditer(text):
        name = match.group("name").rpartition(".")[2]
        if re.fullmatch(r"[A-Za-z_]\w*", name):
            found.append(Module(name, match.group("rest"), path))
    return tuple(found)


def module_of(source: str, modules: Iterable[Module]) -> str | None:
    """The module whose sources name `source` with most of its path; the first of several."""
    ranked = [(module.names(source), module.name) for module in modules]
    most = max((count for count, _ in ranked), default=0)
    return next((name for count, name in ranked if count == most), None) if most else None
