"""What a verification builds: the sides of a group's migration, as far as this machine can compile them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch_stabilize.model import Refusal
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Group
from torch_stabilize.repository.sources import include_graph
from torch_stabilize.source.document import Document
from torch_stabilize.verify.architectures import asked_arch, known_archs
from torch_stabilize.verify.flags import DATABASES, ProjectFlags, read_database
from torch_stabilize.verify.ninja_file import object_path
from torch_stabilize.verify.origins import Migration, plan_again
from torch_stabilize.verify.prefix import with_prefix
from torch_stabilize.verify.project import Libraries, include_folders, read_libraries
from torch_stabilize.verify.reading import Reader, Readings
from torch_stabilize.verify.result import Finding
from torch_stabilize.verify.side import CUDA_SUFFIX, LEGACY, REMAINDER, STABLE, Side
from torch_stabilize.verify.sides import HeaderOptions, Library, legacy_side, stable_side
from torch_stabilize.verify.toolchain import Toolchain
from torch_stabilize.verify.trees import Tree, landed
from torch_stabilize.verify.undefined import Undefined, undefined_macros


def _named(role: str, number: int, library: Library) -> str:
    """The name of a side: the first one of its role has the name of that."""
    return f"{role}-{library.name}" if number else role


@dataclass(frozen=True)
class Setup:
    """The trees before (`legacy`) and after (`work`) the migration of `group`, and how to build them."""

    legacy: Tree
    work: Tree
    group: Group
    target: str
    folder: Path
    tools: Toolchain
    headers: HeaderOptions
    defines: tuple[str, ...] = ()
    database: Path | None = None  # a compilation database; None looks for one in the project
    recorded: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # flags of units that a build was seen to give
    is_finished: bool = False  # the libraries are built already: only the group's units are compiled

    @cached_property
    def units(self) -> tuple[tuple[str, str], ...]:
        """The group's units, before and after. Raises Refusal where one has no place after the migration."""
        return tuple((unit, self._landed(unit)) for unit in self.group.units)

    def documents(self) -> Iterator[tuple[Document, Document]]:
        """The group's files, before and after; a header that is gone is left out."""
        find = landed(self.legacy, self.work)
        for path in self.group.files:
            place = find(path)
            if place is not None:
                yield self.legacy.snapshot.document(path), self.work.snapshot.document(place)

    def sides(self) -> tuple[tuple[Side, ...], tuple[Finding, ...]]:
        """The sides to build, and notes on what is missing here.

        Host units are all built, for they make the library. CUDA units that are not linked are built where they are of
        the group, the legacy ones for their device code alone, and where they see a file that changed. Raises Refusal
        for a tree that builds no such library.
        """
        before, after = self.libraries
        if not before.legacy:
            raise Refusal(f"{self.legacy.label} builds no legacy library", exit_code=2)
        if after.stable is None:
            raise Refusal(f"the work tree builds no {self.work.layout.stable_library}; migrate first", exit_code=2)
        old, new = {unit for unit, _ in self.units}, {unit for _, unit in self.units}
        new.add(self.work.layout.stable_bindings)
        found: list[Side] = []
        notes: tuple[Finding, ...] = ()
        for number, (library, is_whole) in enumerate(self._to_build(before)):
            if not is_whole and not old.intersection(library.units):
                continue
            side, more = self._before(_named(LEGACY, number, library), library, is_whole, old)
            found.append(replace(side, device_only=frozenset(old)))
            notes += tuple(note for note in more if note not in notes)
        legacy = {side.library: side for side in found}
        for number, (library, is_whole) in enumerate(() if self.is_finished else self._to_build(after)):
            library = self._flagged(library, self.work, is_whole)
            left, _ = self._legacy(_named(REMAINDER, number, library), self.work, library, set(self.affected))
            was = legacy.get(library.name)
            same = [u for u in left.units if was is not None and u in was.units and u not in self.affected]
            reused = {unit: object_path(self.folder, was, unit) for unit in same} if was is not None else {}
            found.append(replace(left, reused=reused, host_only=self.affected, is_loaded=is_whole))
        stable = stable_side(
            self.work.snapshot.root,
            self._flagged(self._narrowed(after.stable, new), self.work),
            self.tools,
            self.folder,
            self.target,
            self.headers,
        )
        archs = {new: arch for _, new, arch in self._archs}
        found.append(replace(stable, archs=archs, is_loaded=not self.is_finished))
        return tuple(found), notes

    def before(self, units: Iterable[str]) -> tuple[Side, ...]:
        """Sides of legacy units that stayed and do not compile: whether they did before the migration."""
        wanted, found = set(units), []
        for library in (*self.libraries[0].legacy, *self.libraries[0].others):
            here = tuple(unit for unit in library.units if unit in wanted)
            wanted -= set(here)
            if here:
                library = replace(library, units=here, gpu=library.gpu & set(here))
                side, _ = self._before(f"{LEGACY}-before-{library.name}", library, False, set(here))
                found.append(replace(side, host_only=frozenset(here), is_look_back=True))
        return tuple(found)

    def left_out(self, built: Iterable[str]) -> tuple[bytes, ...]:
        """The text of the stable library's units that are not among those `built`: of other groups, and unchanged."""
        stable, built = self.libraries[1].stable, frozenset(built)
        units = stable.units if stable is not None else ()
        return tuple(self.work.snapshot.read(unit) for unit in units if unit not in built)

    def _before(self, name: str, library: Library, is_whole: bool, cuda: set[str]) -> tuple[Side, tuple[Finding, ...]]:
        """A side of the tree before the migration, with those CUDA units of `library` that are in `cuda`."""
        side, notes = self._legacy(name, self.legacy, self._flagged(library, self.legacy, is_whole), cuda)
        archs = {old: arch for old, _, arch in self._archs}
        return replace(side, archs=archs, is_loaded=is_whole), notes

    def undefined(self, sides: Iterable[Side]) -> tuple[Undefined, ...]:
        """The macros that the group's files ask for and that stayed undefined on the legacy side."""
        legacy = [side for side in sides if side.role == LEGACY]
        flags = [flag for side in legacy for flag in (*side.flags, *side.cuda_flags, *side.gpu_flags)]
        flags += [flag for side in legacy for own in side.own_flags.values() for flag in own]
        snapshot = self.legacy.snapshot
        files = [path for path in self.group.files if snapshot.exists(path)]
        seen = self.graphs[LEGACY].closure(files)
        return undefined_macros(map(snapshot.document, files), map(snapshot.read, seen), flags)

    def _flagged(self, library: Library, tree: Tree, is_whole: bool = True) -> Library:
        """`library` with the flags that the project's own build gives its units in `tree`.

        What is not loaded is compiled for its errors alone.
        """
        flags = ProjectFlags(tree, self.tools, self._database(tree)).of(library.name, library.units)
        if not is_whole:
            flags = flags._replace(host=(*flags.host, "-O0"), gpu=(*flags.gpu, "-O0"))
        return replace(library, flags=flags)

    def _database(self, tree: Tree) -> dict[str, tuple[str, ...]]:
        """The compilation database, where there is one; a unit that moved since has the flags that it had."""
        if self.recorded:
            return {
                **self.recorded,
                **{n: self.recorded[o] for o, n in self.units if n not in self.recorded and o in self.recorded},
            }
        root = self.work.snapshot.root
        places = (self.database,) if self.database else (root / self.work.layout.project_root / n for n in DATABASES)
        path = next((place for place in places if place is not None and place.is_file()), None)
        if path is None:
            return {}
        return self._moved_along(read_database(path, root))

    def _moved_along(self, flags: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {**flags, **{new: flags[old] for old, new in self.units if old in flags and new not in flags}}

    def _to_build(self, libraries: Libraries) -> Iterator[tuple[Library, bool]]:
        """The legacy libraries, and whether they are built whole: of those that the group is not about, only the units
        that may say something else than before."""
        if self.is_finished:
            ours = {unit for unit, _ in self.units}
            for library in libraries.legacy:
                units = tuple(unit for unit in library.units if unit in ours)
                yield replace(library, units=units, gpu=library.gpu & set(units)), False
            return
        for library in libraries.legacy:
            yield library, True
        seen = {unit for library in libraries.legacy for unit in library.units}
        for library in libraries.others:
            units = tuple(unit for unit in library.units if unit in self.affected and unit not in seen)
            seen |= set(units)
            if units:
                yield replace(library, units=units, gpu=library.gpu & set(units)), False

    @property
    def stable_name(self) -> str:
        """The name of the stable library."""
        stable = self.libraries[1].stable
        return stable.name if stable is not None else self.work.layout.stable_library

    @property
    def library_names(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names of the libraries that are loaded, before and after."""
        before, after = self.libraries
        stable = {after.stable.name} if after.stable is not None else set()
        return (
            frozenset(library.name for library in before.legacy),
            frozenset({library.name for library in after.legacy} | stable),
        )

    def with_prefix(self, side: Side) -> Side:
        """`side`, if it is the legacy one, with what its units share compiled once."""
        if side.role != LEGACY:
            return side
        reader = self._readings.before
        return with_prefix(side, reader.elsewhere, self._readings.brought, self.tools)

    @cached_property
    def migration(self) -> Migration | None:
        """The migration of the group as the tool does it; None where it cannot."""
        in_place = any(old == new for old, new in self.units)
        return plan_again(self.legacy, self.group, self.target, in_place=in_place)

    @property
    def migration_for_report(self) -> Migration | None:
        """The migration, with a warning for each file of the work tree that is not as it would be written."""
        tree = self.work.snapshot
        return self.migration and self.migration.against(lambda p: tree.read(p) if tree.exists(p) else None)

    def origin(self, path: str, line: int) -> str:
        """Where a line of the work tree comes from, in words; "" where the migration did not touch its file."""
        if self.migration is None or not self.work.snapshot.exists(path):
            return ""
        found = self.migration.origin(path, line, self.work.snapshot.read(path))
        return str(found) if found is not None else ""

    @cached_property
    def libraries(self) -> tuple[Libraries, Libraries]:
        """The libraries before and after."""
        with_cuda = self.tools.links_cuda
        includes = include_folders(self.legacy)
        options: dict[str, Any] = {"with_cuda": with_cuda, "includes": includes, "defines": self.defines}
        before = read_libraries(self.legacy, self.group.units, **options)
        names = tuple(library.name for library in before.legacy)
        return before, read_libraries(self.work, (), **options, legacy=names)

    def is_affected(self, unit: str) -> bool:
        """Whether a legacy unit may say something else to its compiler than before the migration."""
        if not self.legacy.snapshot.exists(unit) or not self.work.snapshot.exists(unit):
            return True
        return self.sees_changes(unit) and not self._readings.same(unit)

    def sees_changes(self, unit: str) -> bool:
        """Whether the unit, or a header it sees, is not what it was."""
        before, after = self._readings.before.graph, self._readings.after.graph
        seen, sees = before.closure([unit]), after.closure([unit])
        if set(seen) != set(sees):
            return True
        return any(self.legacy.snapshot.read(path) != self.work.snapshot.read(path) for path in (unit, *seen))

    @cached_property
    def graphs(self) -> dict[str, IncludeGraph]:
        """The include graph of each side's tree."""
        before, after = self.legacy, self.work
        old = include_graph(before.snapshot, before.layout, before.config)
        new = include_graph(after.snapshot, after.layout, after.config)
        return {LEGACY: old, REMAINDER: new, STABLE: new}  # by role

    @cached_property
    def same_text(self) -> int:
        """How many legacy units see a file that changed and still read the same."""
        kept = [unit for unit in self._left if self.legacy.snapshot.exists(unit)]
        return sum(self.sees_changes(unit) and unit not in self.affected for unit in kept)

    @cached_property
    def affected(self) -> frozenset[str]:
        """The units that remain legacy and have to be compiled again."""
        return frozenset(unit for unit in self._left if self.is_affected(unit))

    @cached_property
    def _left(self) -> tuple[str, ...]:
        """The units that stay legacy, of all libraries."""
        after = self.libraries[1]
        return tuple(dict.fromkeys(unit for one in (*after.legacy, *after.others) for unit in one.units))

    @cached_property
    def _readings(self) -> Readings:
        include = self.tools.torch.include
        return Readings(
            self._reader(self.legacy, "before"),
            self._reader(self.work, "after"),
            (include, include / "torch/csrc/api/include"),
        )

    def _reader(self, tree: Tree, name: str) -> Reader:
        libraries = self.libraries[0].legacy
        defines = libraries[0].defines if libraries else ()
        graph = self.graphs[LEGACY if tree is self.legacy else STABLE]
        return Reader(graph, self.tools.cxx, self.folder / "readings" / name, include_folders(tree), defines)

    def _legacy(self, name: str, tree: Tree, library: Library, cuda: set[str]) -> tuple[Side, tuple[Finding, ...]]:
        root = tree.snapshot.root
        return legacy_side(name, root, self._narrowed(library, cuda), self.tools, self.folder, self.headers)

    def _narrowed(self, library: Library, cuda: set[str]) -> Library:
        """`library` with those units of GPU builds that are in `cuda`, unless they are all linked here.

        Of a library that is built already, only what is in `cuda`.
        """
        if self.is_finished:
            return replace(library, units=tuple(unit for unit in library.units if unit in cuda))
        if self.tools.links_cuda:
            return library
        gpu = {unit for unit in library.units if unit.endswith(CUDA_SUFFIX)} | library.gpu
        return replace(library, units=tuple(unit for unit in library.units if unit not in gpu or unit in cuda))

    @cached_property
    def _archs(self) -> tuple[tuple[str, str, str], ...]:
        """The CUDA units of the group, before and after, and the chip both are compiled for."""
        cuda = [(old, new) for old, new in self.units if old.endswith(CUDA_SUFFIX)]
        if self.tools.nvcc is None or not cuda:
            return ()
        known, graph, read = known_archs(self.tools.nvcc), self.graphs[LEGACY], self.legacy.snapshot.read
        return tuple((old, new, asked_arch(map(read, graph.closure([old])), known)) for old, new in cuda)

    def _landed(self, unit: str) -> str:
        place = landed(self.legacy, self.work)(unit)
        if place is None:
            raise Refusal(f"{unit} is in {self.legacy.label} and has no place in the work tree", exit_code=2)
        return place
