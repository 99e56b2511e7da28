"""The records of the program: build entries, libraries, units, symbols, registrations and imports.

A program is read from the bytes of a tree; nothing of it knows where a migration would put anything. What could not be
read is a `Gap` with its place, never a guess: a question that a gap covers is answered "unknown" instead of "no".
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from torch_stabilize.model import Span
from torch_stabilize.source.symbols import Symbol

When = tuple[str, ...]  # conditions that all hold, outermost first; () is always


class Abi(str, Enum):
    """Which ABI code is written for, or an entry is built for."""

    LEGACY = "legacy"
    STABLE = "stable"
    NEUTRAL = "neutral"  # no torch at all
    MIXED = "mixed"  # both, under conditions
    UNKNOWN = "unknown"


class EntryKind(str, Enum):
    """What a build entry makes."""

    MODULE = "module"  # what Python imports or loads
    SHARED = "shared"
    STATIC = "static"
    OBJECT = "object"
    PROGRAM = "program"  # an executable: tests and tools
    JIT = "jit"  # torch.utils.cpp_extension.load


class Origin(str, Enum):
    """How a source reaches its entry."""

    LITERAL = "literal"
    GLOB = "glob"
    LOOP = "loop"  # computed from literals: a loop, a comprehension, a function call
    GENERATED = "generated"  # written by a script of the repository


class GapKind(str, Enum):
    """What could not be read."""

    SOURCES = "sources"
    NAME = "name"
    INCLUDE = "include"
    FUNCTIONS = "functions"
    REGISTRATION = "registration"
    IMPORTS = "imports"
    FILE = "file"  # the whole file: a syntax error


class Gap(NamedTuple):
    """Something that was not read, where, and why. `names` may be hidden by it; None is any name."""

    kind: GapKind
    path: str
    span: Span
    why: str
    names: frozenset[str] | None = None


class Source(NamedTuple):
    """A source of a build entry.

    `written` is where its name or pattern is in `file`, and `holder` the list that it is in ("" for the
    defining call). `pattern` is the glob that finds it.
    """

    path: str
    file: str
    written: Span
    holder: str = ""
    when: When = ()
    origin: Origin = Origin.LITERAL
    pattern: str = ""


class BuildEntry(NamedTuple):
    """Something that a build file makes: a setuptools extension, a CMake target, a call of `load`.

    `name` is the last part of the module's name ("_C"), "" where it is computed; `module` the whole dotted name where
    the build file says it. `links` are names of other entries that are linked into this one. `gaps` are parts of this
    entry that were not read. `round` tells entries apart that one call makes in a loop or function. `always` are those
    of its macros that are defined wherever it is built, without a condition of their own.
    """

    system: str  # "cmake", "setuptools", "jit"
    file: str
    span: Span  # of the defining call
    name: str
    module: str = ""
    kind: EntryKind = EntryKind.MODULE
    when: When = ()
    sources: tuple[Source, ...] = ()
    include_dirs: tuple[str, ...] = ()  # of the repository
    macros: tuple[tuple[str, str], ...] = ()  # names and values, "" where no value is given
    languages: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    abi: Abi = Abi.UNKNOWN
    limited_api: bool = False
    round: str = ""
    gaps: tuple[Gap, ...] = ()
    always: frozenset[str] = frozenset()

    def defines(self, macro: str) -> bool:
        """Whether the entry defines `macro`, with or without a value."""
        return any(name == macro for name, _ in self.macros)


class Reference(NamedTuple):
    """A symbol that a unit uses, and that nothing in what the unit sees defines."""

    symbol: Symbol
    path: str  # where it is used
    span: Span
    when: When = ()


_Members = tuple[tuple[str, When], ...]
_known_paths: dict[
    int, tuple[_Members, frozenset[str]]
] = {}  # by identity: to hash members takes as long as to read them


def _paths(members: _Members) -> frozenset[str]:
    known = _known_paths.get(id(members))
    if known is None or known[0] is not members:
        known = _known_paths[id(members)] = (members, frozenset(path for path, _ in members))
    return known[1]


class Library(NamedTuple):
    """One compiled module: all entries of one name in one project, under whatever conditions.

    `module` is the dotted name, as far as it is known. `members` are units with the conditions under which they belong
    to it, those of static and object libraries that it links included.
    """

    project: str
    name: str
    module: str
    entries: tuple[BuildEntry, ...]
    members: tuple[tuple[str, When], ...]
    abi: Abi
    gaps: tuple[Gap, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What tells a library from all others of the repository."""
        return self.project, self.module or self.name

    @property
    def units(self) -> frozenset[str]:
        """The members, under whatever conditions."""
        return _paths(self.members)
