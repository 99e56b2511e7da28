"""The steps of a series: groups in an order in which each leaves a tree that builds, and what stays, with reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch_stabilize.buildfiles.codes import NO_SOURCE_LEFT
from torch_stabilize.config import Config
from torch_stabilize.layout.nearest import every_layout
from torch_stabilize.layout.read import is_built_stable
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Diagnostic, Plan, Refusal, Severity, Span
from torch_stabilize.program.codes import NAME_LEFT
from torch_stabilize.program.groups import joined, suggest, with_headers
from torch_stabilize.program.planned import planned_tree
from torch_stabilize.program.units import Units
from torch_stabilize.repository.codes import CANNOT_BE_PLANNED
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.series.burn_down import Counter, Left


class Step(NamedTuple):
    """One group, its plan in the tree that the steps before it leave, and what is left afterwards.

    `left_out` are units of the suggested group in which something is left to do by hand: they are not part of it.
    `by_hand` is what the step itself leaves to be done: only steps that were asked for so have any.
    """

    group: Group
    plan: Plan
    left: Left
    left_out: tuple[str, ...] = ()
    by_hand: tuple[Diagnostic, ...] = ()


class Staying(NamedTuple):
    """Files that no step takes: how many sites they have, and the first reason."""

    name: str
    files: tuple[str, ...]
    sites: int
    code: str
    reason: str


@dataclass
class Series:
    """The steps from the tree of `snapshot` on. They are made one by one, so that each may be written before the next.

    What has migrated is read off the tree alone: run again, or on a tree that moved on, a series begins where it is.
    With `by_hand` groups of which lines are left to do by hand come after all others.
    """

    snapshot: Snapshot
    config: Config
    options: Options
    by_hand: bool = False
    tree: Snapshot = field(init=False)  # after the steps so far
    start: Left = field(init=False)

    def __post_init__(self) -> None:
        self.tree = self.snapshot
        self._counter = Counter(self.config)
        self._done_by_hand: set[tuple[str, str]] = set()  # source roots and names of groups
        self._manual: dict[frozenset[str], tuple[Diagnostic, ...]] = {}  # by units, what stays to be done by hand
        self.start = self._counter.left(self.tree, self._layouts())

    def steps(self) -> Iterator[Step]:
        """Every step that leaves nothing to do by hand, then those that do, if these are asked for.

        A group that cannot move yet is tried again after others.
        """
        moved = True
        while moved:
            moved = False
            tried = {units for units, found in self._manual.items() if any(map(_is_final, found))}
            while (step := self._next(tried)) is not None:
                moved = True
                yield step
            if not moved and self.by_hand and (step := self._with_lines_by_hand()) is not None:
                moved = True
                yield step

    def staying(self) -> tuple[Staying, ...]:
        """What the steps so far leave, groups first."""
        layouts = self._layouts()
        by_file: dict[str, int] = {}
        for site in self._counter.sites(self.tree, layouts):
            by_file[site.path] = by_file.get(site.path, 0) + 1
        suggested = joined(suggest(self.tree, layout, self.config) for layout in layouts)
        found = [self._stays(group, by_file) for group in suggested.groups]
        found += [Staying(name, (), 0, CANNOT_BE_PLANNED, why) for name, why in suggested.refused]
        named = {path for one in found for path in one.files}
        every = [Units(self.tree, layout, self.config) for layout in layouts]
        return (*found, *_elsewhere(every, by_file, named))

    def _next(self, tried: set[frozenset[str]]) -> Step | None:
        """The first group by name that was not `tried` in this round and can migrate without anything left by hand.

        Those of the main extension come first, then those of its alternative builds and of other projects.
        """
        for layout in self._layouts():
            for group in suggest(self.tree, layout, self.config).groups:
                key = frozenset(group.units)
                if key in tried:
                    continue
                tried.add(key)
                step = self._step(layout, self._without_registrations(layout, group))
                if step is not None:
                    tried.add(frozenset(step.left_out))
                    return step
        return None

    def _with_lines_by_hand(self) -> Step | None:
        """The first group by name whose code can migrate but for lines that are left to be done by hand.

        Those of which that is known come first: what kept another one may have moved with them.
        """
        groups = [(one, group) for one in self._layouts() for group in suggest(self.tree, one, self.config).groups]

        def is_known(group: Group) -> bool:
            return all(map(_is_of_code, self._manual.get(frozenset(group.units), ())))

        for layout, group in sorted(groups, key=lambda one: not is_known(one[1])):
            if (layout.source_root, group.name) in self._done_by_hand:
                continue  # what it leaves is to be done by hand first
            step = self._step(layout, self._without_registrations(layout, group), by_hand=True)
            if step is not None:
                self._done_by_hand.add((layout.source_root, group.name))
                return step
        return None

    def _without_registrations(self, layout: Layout, group: Group) -> Group:
        """A group without files that do nothing but register, which a glob of the configuration may have brought in."""
        units = Units(self.tree, layout, self.config)
        registrations = tuple(unit for unit in group.units if units.has_nothing_but_bindings(unit))
        if not registrations:
            return group
        rest = tuple(unit for unit in group.units if unit not in registrations)
        return with_headers(units, group.name, rest)._replace(registrations=registrations)

    def _step(self, layout: Layout, group: Group, *, by_hand: bool = False) -> Step | None:
        plan = self._planned(layout, group, by_hand=by_hand)
        left_out: tuple[str, ...] = ()
        if plan is None and by_hand:
            return None
        if plan is None:
            part = self._without_manual(layout, group)
            plan = self._planned(layout, part) if part is not None else None
            if part is None or plan is None:
                return None
            left_out = tuple(unit for unit in group.units if unit not in part.units)
            self._manual[frozenset(left_out)] = self._manual[frozenset(group.units)]
            group = part
        if plan.is_empty:
            return None
        self.tree = planned_tree(self.tree, plan)
        found = tuple(one for one in plan.diagnostics if one.severity is Severity.ERROR)
        return Step(group, plan, self._counter.left(self.tree, self._layouts()), left_out, found)

    def _planned(self, layout: Layout, group: Group, *, by_hand: bool = False) -> Plan | None:
        """The plan of a group; None where it leaves something to do by hand, which is kept as the reason.

        With `by_hand` lines in the code may be left so.
        """
        found: tuple[Diagnostic, ...]
        try:
            plan = plan_migration(self.tree, layout, group, self.options, self.config)
        except Refusal as refusal:
            found = (Diagnostic(CANNOT_BE_PLANNED, Severity.ERROR, "", Span(0, 0), str(refusal)),)
        else:
            found = tuple(one for one in plan.diagnostics if one.severity is Severity.ERROR)
            if not found or (by_hand and all(map(_is_of_code, found))):
                return plan
        self._manual[frozenset(group.units)] = found
        return None

    def _without_manual(self, layout: Layout, group: Group) -> Group | None:
        """The units of a group in which nothing is left to do by hand; None where these are all or none."""
        places = {one.path for one in self._manual[frozenset(group.units)]}
        units = Units(self.tree, layout, self.config)
        kept = tuple(unit for unit in group.units if not places & {unit, *units.graph.reached(unit)})
        return with_headers(units, group.name, kept) if 0 < len(kept) < len(group.units) else None

    def _layouts(self) -> tuple[Layout, ...]:
        """The layouts of all extensions of the tree as it is now, the main one first."""
        return every_layout(self.tree, self.config)

    def _stays(self, group: Group, by_file: dict[str, int]) -> Staying:
        sites = sum(by_file.get(path, 0) for path in group.files)
        units = frozenset(group.units)
        found = next((one for key, one in self._manual.items() if key and key <= units), ())
        if not found:
            return Staying(group.name, group.files, sites, "", NOT_TRIED)
        first = found[0]
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        place = f"{first.path}: " if first.path else ""
        return Staying(group.name, group.files, sites, first.code, f"{place}{first.message}{more}")


def _is_final(found: Diagnostic) -> bool:
    """Whether what is to be done by hand is in the code of a unit itself: no other step changes that."""
    return found.code[:4] in ("TSA1", "TSA2", "TSA3", "TSA4", "TSA9")


def _is_of_code(found: Diagnostic) -> bool:
    """Whether what is to be done by hand is in the code, and the build files and the libraries are right without it.

    But for a library that is to be taken out: nothing is left of it.
    """
    return found.code[:4] not in ("TSA6", "TSA7", "TSA8") or found.code in (NAME_LEFT.code, NO_SOURCE_LEFT)


NOT_TRIED = "the series ended before it"
STABLE = "stable units: `torch-stabilize check` lists the names"
EMPTIED = "nothing but includes is left of it"
OTHER_BUILD = "it belongs to another build, whose bindings define the same operators"
BINDINGS = "registrations of what stays"
HEADER = "a header that legacy units include"
NO_GROUP = "no group has it: nothing that is registered needs it"


def _elsewhere(every: Sequence[Units], by_file: dict[str, int], named: set[str]) -> Iterable[Staying]:
    """The files with unstable sites that are in no group, by the reason."""
    reasons: dict[str, list[str]] = {}
    for path in sorted(by_file.keys() - named):
        units = next((one for one in reversed(every) if path.startswith(f"{one.layout.source_root}/")), every[0])
        if units.layout.is_stable(path) or is_built_stable(units.snapshot, path):
            why = STABLE
        elif path in units.all and units.is_hollow(path):
            why = EMPTIED
        elif units.is_of_other_build(path):
            why = OTHER_BUILD
        elif path in units.bindings or path in units.layout.other_builds:
            why = BINDINGS
        elif path not in units.all:
            why = HEADER
        else:
            why = NO_GROUP
        reasons.setdefault(why, []).append(path)
    for why, paths in reasons.items():
        yield Staying("", tuple(paths), sum(by_file[path] for path in paths), "", why)
