"""What a verification builds: the sides of a group's migration, as far as this machine can compile them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from codemod.model import Refusal
from codemod.repository.includes import IncludeGraph
from codemod.repository.layout import Group
from codemod.repository.sources import include_graph
from codemod.source.document import Document
from codemod.verify.architectures import asked_arch, known_archs
from codemod.verify.build import CUDA_SUFFIX, Side, object_path
from codemod.verify.origins import Migration, plan_again
from codemod.verify.prefix import with_prefix
from codemod.verify.project import Libraries, include_folders, read_libraries
from codemod.verify.reading import Reader, Readings
from codemod.verify.result import Finding
from codemod.verify.sides import HeaderOptions, Library, legacy_side, stable_side
from codemod.verify.toolchain import Toolchain
from codemod.verify.trees import Tree, landed

LEGACY, REMAINDER, STABLE = "legacy", "remainder", "stable"


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

        Host units are all built, for they make the library; CUDA units that are not linked are built where they are of
        the group or see a file that changed. Raises Refusal for a tree that builds no such library.
        """
        before, after = self.libraries
        if before.legacy is None:
            raise Refusal(f"{self.legacy.label} builds no legacy library", exit_code=2)
        if after.stable is None:
            raise Refusal(f"the work tree builds no {self.work.layout.stable_library}; migrate first", exit_code=2)
        old, new = {unit for unit, _ in self.units}, {unit for _, unit in self.units}
        new.add(self.work.layout.stable_bindings)
        tree = self.legacy.snapshot.root
        legacy, notes = self._legacy(LEGACY, tree, self._narrowed(before.legacy, old | self.affected))
        stable = stable_side(
            self.work.snapshot.root,
            self._narrowed(after.stable, new),
            self.tools,
            self.folder,
            self.target,
            self.headers,
        )
        legacy = replace(legacy, host_only=self.affected - old, archs={old: arch for old, _, arch in self._archs})
        stable = replace(stable, archs={new: arch for _, new, arch in self._archs})
        if after.legacy is None:
            return (legacy, stable), notes
        left, _ = self._legacy(REMAINDER, self.work.snapshot.root, self._narrowed(after.legacy, set(self.affected)))
        same = [unit for unit in left.units if unit in legacy.units and unit not in self.affected]
        reused = {unit: object_path(self.folder, legacy, unit) for unit in same}
        left = replace(left, reused=reused, host_only=self.affected)
        return (legacy, left, stable), notes

    def with_prefix(self, side: Side) -> Side:
        """`side`, if it is the legacy one, with what its units share compiled once."""
        if side.name != LEGACY:
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
        name = before.legacy.name if before.legacy is not None else None
        return before, read_libraries(self.work, (), **options, legacy=name)

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
        return {LEGACY: old, REMAINDER: new, STABLE: new}

    @cached_property
    def same_text(self) -> int:
        """How many legacy units see a file that changed and still read the same."""
        after = self.libraries[1].legacy
        kept = [unit for unit in (after.units if after else ()) if self.legacy.snapshot.exists(unit)]
        return sum(self.sees_changes(unit) and unit not in self.affected for unit in kept)

    @cached_property
    def affected(self) -> frozenset[str]:
        """The units that remain legacy and have to be compiled again."""
        after = self.libraries[1].legacy
        return frozenset(unit for unit in (after.units if after else ()) if self.is_affected(unit))

    @cached_property
    def _readings(self) -> Readings:
        include = self.tools.torch.include
        return Readings(
            self._reader(self.legacy, "before"),
            self._reader(self.work, "after"),
            (include, include / "torch/csrc/api/include"),
        )

    def _reader(self, tree: Tree, name: str) -> Reader:
        library = self.libraries[0].legacy
        defines = library.defines if library is not None else ()
        graph = self.graphs[LEGACY if tree is self.legacy else STABLE]
        return Reader(graph, self.tools.cxx, self.folder / "readings" / name, include_folders(tree), defines)

    def _legacy(self, name: str, tree: Path, library: Library) -> tuple[Side, tuple[Finding, ...]]:
        return legacy_side(name, tree, library, self.tools, self.folder, self.headers)

    def _narrowed(self, library: Library, cuda: set[str]) -> Library:
        """`library` with those units of GPU builds that are in `cuda`, unless they are all linked here."""
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
