"""Compare the build files of a planned migration with those of a hand migration, source by source.

    compare_build.py LEGACY HAND [SOURCE...]

LEGACY and HAND are work trees of the same project before the migration and after maintainers did it by hand. For every
SOURCE (paths in LEGACY; by default all that the hand migration put into the stable target) it says whether the plan puts
it into the stable target too, and under the same condition. Exits with 1 where one is not in the right place.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from torch_stabilize.buildfiles.cmake.flow import read_project
from torch_stabilize.buildfiles.cmake.logic import equal
from torch_stabilize.buildfiles.plan import plan_build
from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.model import Move
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot, open_snapshot
from torch_stabilize.source.edits import apply
from torch_stabilize.verify.targets import Target, TargetSource, read_targets

Owned = list[tuple[Target, TargetSource]]


def open_tree(folder: Path) -> Snapshot:
    """The tree as a snapshot; a folder that is no git work tree is read as it is."""
    inside = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=folder, capture_output=True, text=True)
    if inside.returncode == 0 and Path(inside.stdout.strip()) == folder.resolve():
        return open_snapshot(folder)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return Snapshot(folder, tuple(files))


def owners(targets: tuple[Target, ...], source: str, *, stable: bool) -> Owned:
    """The targets that have `source`, by path or, in the stable ones, by the end of its path."""
    name = PurePosixPath(source).name
    found = [
        (target, entry)
        for target in targets
        for entry in target.sources
        if target.is_stable == stable and (entry.path == source or (stable and PurePosixPath(entry.path).name == name))
    ]
    parts = set(PurePosixPath(source).parts)
    best = max((len(parts & set(PurePosixPath(e.path).parts)) for _, e in found), default=0)
    return [pair for pair in found if len(parts & set(PurePosixPath(pair[1].path).parts)) == best]


def planned(snapshot: Snapshot, layout: Layout, sources: list[str], target: str) -> Snapshot:
    """The tree after the plan, as far as build files go."""
    moves = [Move(source, layout.landing(source)) for source in sources]
    change = plan_build(snapshot, layout, Group("compared", tuple(sources)), moves, target=target)
    paths = sorted({edit.path for edit in change.edits})
    after = {p: apply(snapshot.read(p), [e.edit for e in change.edits if e.path == p]) for p in paths}
    moved = {move.new: snapshot.read(move.old) for move in moves}
    return snapshot.with_overlay({**after, **moved})


def conditions(owned: Owned) -> list[tuple[str, ...]]:
    """The conditions of every occurrence."""
    return [entry.conditions for _, entry in owned]


@dataclass(frozen=True)
class Source:
    """One source: the verdict, and the conditions it is built under in the plan and by hand."""

    path: str
    verdict: str
    ours: tuple[tuple[str, ...], ...]
    theirs: tuple[tuple[str, ...], ...]
    is_lost: bool  # in no target of the hand migration: compared with before

    @property
    def is_same(self) -> bool:
        """In the right list, under the same condition."""
        return self.verdict == "same"


def compare(legacy: Path, by_hand: Path, sources: Sequence[str], target: str) -> list[Source]:
    """How the plan builds `sources`, or all that the hand migration made stable, beside how the maintainers do."""
    snapshot, hand = open_tree(legacy), open_tree(by_hand)
    layout = detect_layout(snapshot, load_config(snapshot))
    hand_targets = read_targets(hand, layout)
    before = read_targets(snapshot, layout)
    wanted = sources or [
        entry.path
        for one in before
        if not one.is_stable
        for entry in one.sources
        if owners(hand_targets, entry.path, stable=True) and not owners(hand_targets, entry.path, stable=False)
    ]
    wanted = list(dict.fromkeys(wanted))
    mine = planned(snapshot, layout, wanted, target)
    my_targets = read_targets(mine, layout)
    domains = read_project(mine, layout.cmake_files).domains
    found = []
    for source in wanted:
        ours, theirs = (owners(t, source, stable=True) for t in (my_targets, hand_targets))
        left = owners(my_targets, source, stable=False)
        lost = not theirs and not owners(hand_targets, source, stable=False)
        theirs = owners(before, source, stable=False) if lost else theirs
        same = len(ours) > 0 and all(any(equal(a, b, domains) for b in conditions(theirs)) for a in conditions(ours))
        placed = bool(ours) and not left
        verdict = "same" if placed and same else "other condition" if placed else "NOT IN THE STABLE TARGET"
        sorted_ours, sorted_theirs = (tuple(sorted(set(conditions(side)))) for side in (ours, theirs))
        found.append(Source(source, verdict, sorted_ours, sorted_theirs, lost))
    return found


def main() -> int:
    """Print the table; 1 where a source is not where the maintainers put it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("legacy", type=Path)
    parser.add_argument("hand", type=Path)
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--target", default="2.10")
    arguments = parser.parse_args()
    rows = compare(arguments.legacy, arguments.hand, arguments.sources, arguments.target)
    for row in rows:
        lost = "  (in no target of the hand migration: compared with before)" if row.is_lost else ""
        print(f"{row.verdict:24} {row.path}{lost}")
        if not row.is_same:
            print(f"    ours  {list(row.ours)}\n    theirs {list(row.theirs)}")
    same = sum(row.is_same for row in rows)
    print(f"=> {same} of {len(rows)} in the right list, same condition")
    return 0 if same == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
