"""The user's settings: `torch-stabilize.toml`, or `[tool.torch-stabilize]` in pyproject.toml. Every key is optional.

What is not set here is detected (`layout/detect.py`); what is set here wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple

from torch_stabilize import toml
from torch_stabilize.model import Refusal
from torch_stabilize.repository.snapshot import Snapshot

CONFIG_FILE = "torch-stabilize.toml"
PYPROJECT = "pyproject.toml"
TABLE = "tool.torch-stabilize"


class Allowed(NamedTuple):
    """An entry of the allow-list: sites of `name` in files that match `path`; any name where it is empty."""

    path: str
    name: str = ""
    line: int = 0  # of the configuration file, for "stale entry"

    @property
    def text(self) -> str:
        """The entry as written in the configuration."""
        return f"{self.path}:{self.name}" if self.name else self.path


class OwnLibrary(NamedTuple):
    """Settings of one legacy library, `[libraries.NAME]`. "" means: as for the repository, else detect it."""

    stable_library: str = ""
    stable_bindings: str = ""
    stable_declarations: str = ""
    op_namespace: str = ""
    legacy_bindings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """Settings of one repository. None and empty values mean: detect it.

    Paths are relative to the root of the git work tree, wherever the configuration file is.
    """

    source: str = ""  # the file these settings come from, "" where there is none
    source_root: str | None = None
    stable_root: str | None = None
    legacy_library: str | None = None
    stable_library: str | None = None
    legacy_bindings: tuple[str, ...] = ()
    stable_bindings: str | None = None
    stable_declarations: str | None = None
    stable_helpers: str | None = None
    stable_dispatch: str | None = None
    python_roots: tuple[str, ...] = ()
    in_place: bool | None = None  # files stay where they are; None: by what is there
    op_namespace: str | None = None  # of the operators that functions of Python modules become
    target: str | None = None
    headers: str | None = None  # the torch whose headers build it
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> files or globs
    libraries: Mapping[str, OwnLibrary] = field(default_factory=dict)  # by the name of the legacy module
    allow: tuple[Allowed, ...] = ()
    exclude: tuple[str, ...] = ()  # globs of files that are never looked at

    def of_library(self, name: str) -> OwnLibrary:
        """What is set for the legacy library `name` alone."""
        return self.libraries.get(name, OwnLibrary())


_PATHS = ("source_root", "stable_root", "stable_bindings", "stable_declarations", "stable_helpers", "stable_dispatch")
_NAMES = ("legacy_library", "stable_library", "op_namespace")
_PATH_LISTS = ("legacy_bindings", "python_roots", "exclude")
KEYS = (*_PATHS, *_NAMES, *_PATH_LISTS, "in_place", "target", "headers", "groups", "libraries", "allow")
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_MODULE = re.compile(r"[A-Za-z_]\w*")


def load_config(snapshot: Snapshot) -> Config:
    """The settings of the repository; defaults where it has none.

    The nearest configuration file from the folder the run starts in up to the root counts. Raises Refusal (exit 2)
    for a file that is not TOML, an unknown key or a value of the wrong kind, with the line it is on.
    """
    for folder in _upwards(snapshot.start):
        prefix = f"{folder}/" if folder else ""
        if snapshot.exists(prefix + CONFIG_FILE):
            return _Reader(snapshot, prefix + CONFIG_FILE, "").read()
        if snapshot.exists(prefix + PYPROJECT) and TABLE.encode() in snapshot.read(prefix + PYPROJECT):
            return _Reader(snapshot, prefix + PYPROJECT, TABLE).read()
    return Config()


def _upwards(folder: str) -> list[str]:
    parts = folder.split("/") if folder else []
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]


class _Reader:
    """Reads one file into a Config and knows which line to blame."""

    def __init__(self, snapshot: Snapshot, path: str, table: str) -> None:
        self.path = path
        self.table = table
        try:
            self.text = snapshot.read(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Refusal(f"{path}: not UTF-8 at byte {error.start}", exit_code=2) from error

    def read(self) -> Config:
        try:
            settings: Any = toml.loads(self.text)
        except toml.TOMLDecodeError as error:
            raise Refusal(f"{self.path}: not valid TOML: {error}", exit_code=2) from error
        for part in filter(None, self.table.split(".")):
            settings = settings.get(part, {})
            if not isinstance(settings, dict):
                raise Refusal(f"{self.path}: [{self.table}] must be a table", exit_code=2)
        for key in settings:
            if key not in KEYS:
                near = get_close_matches(key, KEYS, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(KEYS)}"
                raise self._refuse(key, f"unknown key `{key}`; {hint}")
        return Config(source=self.path, **{key: self._value(key, value) for key, value in settings.items()})

    def _value(self, key: str, value: Any) -> Any:
        if key in _PATHS:
            return self._tree_path(key, self._text(key, value))
        if key in _NAMES:
            name = self._text(key, value)
            if not _MODULE.fullmatch(name):
                raise self._refuse(key, f"`{key}` must be the name of a module, not {name!r}")
            return name
        if key in _PATH_LISTS:
            return tuple(self._tree_path(key, text) for text in self._texts(key, value))
        if key == "in_place":
            if not isinstance(value, bool):
                raise self._refuse(key, f"`in_place` must be true or false, not {_kind(value)}")
            return value
        if key in ("target", "headers"):
            version = self._text(key, value)
            if not _VERSION.fullmatch(version):
                raise self._refuse(key, f'`{key}` must be a torch version such as "2.11", not {version!r}')
            return version
        if key == "groups":
            return self._groups(value)
        if key == "libraries":
            return self._libraries(value)
        return tuple(self._allowed(text) for text in self._texts(key, value))

    def _libraries(self, value: Any) -> dict[str, OwnLibrary]:
        if not isinstance(value, dict):
            raise self._refuse("libraries", "`libraries` must be a table: the name of a module and its settings")
        found = {}
        for name, settings in value.items():
            if not _MODULE.fullmatch(name):
                raise self._refuse(name, f"`libraries.{name}` must be called as a module is, without its package")
            if not isinstance(settings, dict):
                raise self._refuse(name, f"`libraries.{name}` must be a table, not {_kind(settings)}")
            for key in settings:
                if key not in OwnLibrary._fields:
                    known = ", ".join(OwnLibrary._fields)
                    raise self._refuse(key, f"unknown key `libraries.{name}.{key}`; known keys: {known}")
            found[name] = OwnLibrary(**{key: self._value(key, one) for key, one in settings.items()})
        return found

    def _groups(self, value: Any) -> dict[str, tuple[str, ...]]:
        if not isinstance(value, dict):
            raise self._refuse("groups", "`groups` must be a table: a name and a list of files or globs")
        groups = {}
        for name, globs in value.items():
            paths = tuple(self._tree_path(name, text) for text in self._texts(name, globs, shown=f"groups.{name}"))
            if not paths:
                raise self._refuse(name, f"`groups.{name}` names no file")
            groups[name] = paths
        return groups

    def _allowed(self, text: str) -> Allowed:
        path, _, name = text.partition(":")
        return Allowed(self._tree_path("allow", path), name, self._line_of_text(text))

    def _text(self, key: str, value: Any, shown: str = "") -> str:
        if not isinstance(value, str):
            raise self._refuse(key, f"`{shown or key}` must be a string, not {_kind(value)}")
        return value

    def _texts(self, key: str, value: Any, shown: str = "") -> list[str]:
        if not isinstance(value, list):
            raise self._refuse(key, f"`{shown or key}` must be a list of strings, not {_kind(value)}")
        return [self._text(key, item, f"every entry of {shown or key}") for item in value]

    def _tree_path(self, key: str, text: str) -> str:
        """`text` as a path below the root, without `./` and trailing slash."""
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if text.startswith("/") or ".." in parts:
            raise self._refuse(key, f"`{key}` names {text!r}, which is not a path below the repository's root")
        return "/".join(parts)

    def _refuse(self, key: str, message: str) -> Refusal:
        line = self._line_of_key(key)
        where = f"{self.path}:{line}" if line else self.path
        return Refusal(f"{where}: {message}", exit_code=2)

    def _line_of_key(self, key: str) -> int:
        """The line that sets `key` in this tool's part of the file, or 0."""
        name = rf"""["']?{re.escape(key)}["']?"""
        setting = re.compile(
            rf"\s*(?:[\w.\"'-]+\.)?{name}\s*[.=]"  # key = ..., table.key = ...
            rf"|\s*\[(?:[^\]]*\.)?{name}\s*[\].]"  # [key], [table.key]
            rf"|.*[{{,]\s*{name}\s*="  # table = { key = ... }
        )
        inside = not self.table
        for number, line in enumerate(self.text.splitlines(), 1):
            if self.table and line.lstrip().startswith("["):
                inside = self.table in line.replace('"', "").replace(" ", "")
            if inside and setting.match(line):
                return number
        return 0

    def _line_of_text(self, text: str) -> int:
        place = self.text.find(text)
        return self.text.count("\n", 0, place) + 1 if place >= 0 else 0


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return {str: "a string", int: "a number", float: "a number", list: "a list", dict: "a table"}.get(
        type(value), "that"
    )
