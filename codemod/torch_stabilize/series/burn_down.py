"""How much of a tree is still on the unstable API: what a series shows after each of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch_stabilize.bindings.inventory import inventory
from torch_stabilize.bindings.reading.model import Side
from torch_stabilize.config import Config
from torch_stabilize.layout.read import Program
from torch_stabilize.model import Refusal
from torch_stabilize.program.abi import files_of_stable_libraries
from torch_stabilize.program.scan import FoundSite, is_worth_a_look, own_macros, scan_document
from torch_stabilize.program.units import Units
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import include_graph


class Left(NamedTuple):
    """What a tree has left: distinct unstable names and their sites, and units and operators of either side."""

    symbols: int
    sites: int
    units: int
    stable_units: int
    operators: int
    stable_operators: int


@dataclass(frozen=True)
class Counter:
    """Counts trees that differ in few files: what was found in a file is kept for as long as its bytes are the same."""

    config: Config
    _sites: dict[str, tuple[bytes, frozenset[str], bool, tuple[FoundSite, ...]]] = field(default_factory=dict)

    def sites(self, snapshot: Snapshot, layouts: Sequence[Layout]) -> tuple[FoundSite, ...]:
        """The unstable sites of a tree, by path and place."""
        files = dict.fromkeys(f for one in layouts for f in include_graph(snapshot, one, self.config).files)
        worth = [path for path in files if is_worth_a_look(snapshot.read(path))]
        known = frozenset(name for path in worth for name in own_macros(snapshot.read(path)))
        roots = layouts[0].include_roots if layouts else ()
        stable = files_of_stable_libraries(Program(snapshot, self.config, roots))
        return tuple(site for path in worth for site in self._of_file(snapshot, path, known, path in stable))

    def left(self, snapshot: Snapshot, layouts: Sequence[Layout]) -> Left:
        """The figures of a tree with extensions of these layouts."""
        sites = self.sites(snapshot, layouts)
        projects = {layout.project_root: Units(snapshot, layout, self.config) for layout in reversed(layouts)}
        every = [(units, path) for units in projects.values() for path in units.all]
        unstable = {path for units, path in every if units.is_unstable(path)}
        stable = {path for units, path in every if units.is_finished(path)}
        operators = {entry for layout in layouts for entry in _operators(snapshot, layout)}
        legacy = sum(side is Side.LEGACY for _, _, side in operators)
        return Left(
            len({site.name for site in sites}), len(sites), len(unstable), len(stable), legacy, len(operators) - legacy
        )

    def _of_file(self, snapshot: Snapshot, path: str, known: frozenset[str], is_stable: bool) -> tuple[FoundSite, ...]:
        data = snapshot.read(path)
        kept = self._sites.get(path)
        if kept is None or kept[:3] != (data, known, is_stable):
            found = scan_document(snapshot.document(path), known, is_stable)
            kept = self._sites[path] = (data, known, is_stable, found)
        return kept[3]


def _operators(snapshot: Snapshot, layout: Layout) -> list[tuple[str, str, Side]]:
    """The operators that the bindings of a layout register, with their files."""
    try:
        return [(entry.full_name, entry.file, entry.side) for entry in inventory(snapshot, layout)]
    except Refusal:
        return []
