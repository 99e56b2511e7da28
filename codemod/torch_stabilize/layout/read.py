"""Read a tree as a program: every project, what its build files make, and which units that takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from posixpath import dirname

from torch_stabilize.buildfiles.model import Abi, BuildEntry, EntryKind, Gap, GapKind, Library, When
from torch_stabilize.buildfiles.modules import build_files
from torch_stabilize.config import Config
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import BESIDE_FOLDERS, FOREIGN_FOLDERS, project_of, source_files
from torch_stabilize.source.conditions import canonical, conditions_at
from torch_stabilize.source.reach import reach

_PROJECT_FILES = ("setup.py", "pyproject.toml", "setup.cfg", "CMakeLists.txt", "build.toml")
_LINKED = frozenset({EntryKind.STATIC, EntryKind.OBJECT})


@dataclass(frozen=True)
class Program:
    """A tree as libraries. Everything is read on first use and kept; nothing here knows of a migration.

    `roots` are folders that includes may be looked up in, besides those that the build files name.
    """

    snapshot: Snapshot
    config: Config
    roots: tuple[str, ...] = ()
    _closures: dict[tuple[str, Abi, frozenset[str]], tuple[str, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @cached_property
    def projects(self) -> tuple[str, ...]:
        """The folders of the tree's projects, those of tests, examples and vendored code left out."""
        skipped = FOREIGN_FOLDERS | BESIDE_FOLDERS
        found = {
            project_of(self.snapshot, path)
            for path in self.snapshot.files
            if path.rpartition("/")[2] in _PROJECT_FILES and not skipped.intersection(dirname(path).split("/"))
        }
        return tuple(sorted(found)) or ("",)

    @property
    def _read(self) -> tuple[tuple[tuple[str, BuildEntry], ...], tuple[Gap, ...]]:
        """The entries with their projects, and what could not be read: read once for every program of the tree."""
        return self.snapshot.once((Program, "entries"), self._read_entries)

    def _read_entries(self) -> tuple[tuple[tuple[str, BuildEntry], ...], tuple[Gap, ...]]:
        from torch_stabilize.buildfiles.systems import SYSTEMS

        entries: list[tuple[str, BuildEntry]] = []
        gaps: list[Gap] = []
        taken: set[str] = set()
        for project in sorted(self.projects, key=lambda folder: -len(folder)):  # a file is the innermost project's
            files = build_files(self.snapshot, project)
            for system in SYSTEMS:
                own = [path for path in system.detect(files) if path not in taken]
                taken |= set(own)
                if own:
                    read, missed = system.read(self.snapshot, own)
                    entries += [(project, entry) for entry in read]
                    gaps += missed
        return tuple(entries), tuple(gaps)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Build files that could not be read."""
        return self._read[1]

    @cached_property
    def entries(self) -> tuple[BuildEntry, ...]:
        """Everything that the build files make."""
        return tuple(entry for _, entry in self._read[0])

    @cached_property
    def libraries(self) -> tuple[Library, ...]:
        """The compiled modules, each with all its entries and units."""
        groups: dict[tuple[str, str], list[BuildEntry]] = {}
        linked: dict[tuple[str, str], list[BuildEntry]] = {}
        for project, entry in self._read[0]:
            linked.setdefault((project, entry.name), []).append(entry)
            if entry.kind is not EntryKind.PROGRAM:
                groups.setdefault((project, self._key(project, entry)), []).append(entry)
        asked = {(project, name) for project, entry in self._read[0] for name in entry.links}
        return tuple(
            self._library(project, entries, linked)
            for (project, _), entries in groups.items()
            if not (all(entry.kind in _LINKED for entry in entries) and (project, entries[0].name) in asked)
        )

    @cached_property
    def _modules(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """The dotted names of the modules of each short name."""
        found: dict[tuple[str, str], set[str]] = {}
        for project, entry in self._read[0]:
            if "." in entry.module:
                found.setdefault((project, entry.name), set()).add(entry.module)
        return {key: frozenset(names) for key, names in found.items()}

    def _key(self, project: str, entry: BuildEntry) -> str:
        """What the entries of one library have in common: the dotted name, as CMake's "_C" is setup.py's "pkg._C"."""
        known = self._modules.get((project, entry.name), frozenset())
        return next(iter(known)) if len(known) == 1 else entry.module or entry.name

    def _library(
        self, project: str, entries: list[BuildEntry], linked: Mapping[tuple[str, str], list[BuildEntry]]
    ) -> Library:
        members: dict[tuple[str, When], None] = {}
        gaps: list[Gap] = []
        for entry in entries:
            for one, when in _reached(project, entry, linked):
                members |= {(s.path, tuple(dict.fromkeys((*when, *s.when)))): None for s in one.sources}
                gaps += one.gaps
        abis = {entry.abi for entry in entries}
        first = entries[0]
        module = next((entry.module for entry in entries if "." in entry.module), first.module)
        abi = abis.pop() if len(abis) == 1 else Abi.MIXED
        return Library(project, first.name, module, tuple(entries), tuple(members), abi, tuple(gaps))

    @cached_property
    def by_unit(self) -> Mapping[str, tuple[tuple[Library, When], ...]]:
        """The libraries that each unit is built into, with the conditions."""
        found: dict[str, list[tuple[Library, When]]] = {}
        for library in self.libraries:
            for path, when in library.members:
                found.setdefault(path, []).append((library, when))
        return {path: tuple(owners) for path, owners in found.items()}

    @cached_property
    def graph(self) -> IncludeGraph:
        """The include graph. Its `roots` are what the build files name, and those that were given."""
        named = (folder for entry in self.entries for folder in entry.include_dirs)
        return IncludeGraph(self.snapshot, self.files, tuple(dict.fromkeys((*self.roots, *named))))

    def closure(
        self, unit: str, abi: Abi = Abi.UNKNOWN, macros: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:  # fmt: skip
        """`unit` and the files of the repository that it includes where it is compiled for `abi` with `macros`."""
        key = (unit, abi, macros)
        if key not in self._closures:
            found = reach((unit,), lambda path: self._included(path, abi, macros))
            self._closures[key] = tuple(sorted(path for path in found if self.snapshot.exists(path)))
        return self._closures[key]

    def _included(self, path: str, abi: Abi, macros: frozenset[str]) -> tuple[str, ...]:
        if not self.snapshot.exists(path):
            return ()
        document = self.snapshot.document(path)
        if not any(name.encode() in document.data for name in ("TORCH_TARGET_VERSION", *macros)):
            return self.graph.direct(path)
        seen = (i for i in self.graph.includes(path) if is_seen(conditions_at(document, i.span.start), abi, macros))
        return tuple(dict.fromkeys(include.target for include in seen if include.target is not None))

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The repository's own C++ and CUDA files."""
        return source_files(self.snapshot, self.config)

    def has_gap(self, library: Library) -> bool:
        """Whether some sources of `library` are not known."""
        return any(gap.kind is GapKind.SOURCES for gap in library.gaps)


def is_seen(when: Iterable[str], abi: Abi, macros: frozenset[str] = frozenset()) -> bool:
    """Whether code under conditions is compiled for `abi`, as far as TORCH_TARGET_VERSION and `macros` decide that."""
    hidden = {Abi.STABLE: "#ifndef TORCH_TARGET_VERSION", Abi.LEGACY: "#ifdef TORCH_TARGET_VERSION"}.get(abi)
    asked = set(map(canonical, when))
    return hidden not in asked and not any(f"#ifndef {name}" in asked for name in macros)


def macros_of(library: Library) -> frozenset[str]:
    """The macros that every build file of a library defines, whatever else it is built with."""
    each = [entry.always for entry in library.entries]
    return frozenset.intersection(*each) if each else frozenset()


def _reached(
    project: str, entry: BuildEntry, linked: Mapping[tuple[str, str], list[BuildEntry]]
) -> Iterator[tuple[BuildEntry, When]]:
    """`entry` and the static and object libraries of its project that it links, with the conditions of the link."""
    waiting = [entry]
    seen: set[str] = set()
    while waiting:
        one = waiting.pop()
        yield one, entry.when
        for name in one.links:
            if name not in seen:
                seen.add(name)
                waiting += [other for other in linked.get((project, name), ()) if other.kind in _LINKED]


def built_program(snapshot: Snapshot) -> Program:
    """The tree as libraries, for those who ask who builds what and nothing of includes: read once."""
    return snapshot.once((Program, "by unit"), lambda: Program(snapshot, Config()))


def libraries_of(snapshot: Snapshot, paths: Iterable[str]) -> frozenset[tuple[str, str]]:
    """The libraries that one of `paths` is built into; none where no build file that was read names it."""
    program = built_program(snapshot)
    return frozenset(library.key for path in paths for library, _ in program.by_unit.get(path, ()))


def is_built_stable(snapshot: Snapshot, path: str) -> bool:
    """Whether `path` is built, and into nothing but libraries of the stable ABI."""
    owners = built_program(snapshot).by_unit.get(path, ())
    return bool(owners) and all(library.abi is Abi.STABLE for library, _ in owners)
