"""Compare what a migration registers with what a hand migration of the same units registers.

    compare_bindings.py BEFORE MIGRATED BY_HAND UNIT...

BEFORE is the tree before the migration, MIGRATED the tree that torch-stabilize wrote, BY_HAND the tree as its
maintainers migrated it; UNIT are the migrated translation units, by their paths in BEFORE. Prints one line for each
operator of the units; exits with 1 where an operator that is stable by hand is not, or where one is registered twice.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch_stabilize.bindings.inventory import OpEntry, inventory
from torch_stabilize.bindings.keys import EXPLICIT, NO_KEY
from torch_stabilize.bindings.reading.model import Side
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import select
from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot

_SKIPPED = {".git", "build", "node_modules"}


@dataclass(frozen=True)
class Row:
    """One operator in the three trees."""

    name: str
    verdict: str
    details: tuple[str, ...] = ()

    @property
    def is_failure(self) -> bool:
        return self.verdict in ("MISSING", "TWICE", "DIFFERENT")


def tree(root: Path) -> tuple[Snapshot, Layout]:
    """The files below `root`, git or not."""
    files = [p.relative_to(root) for p in root.rglob("*") if p.is_file()]
    names = sorted(f.as_posix() for f in files if not _SKIPPED & set(f.parts))
    snapshot = Snapshot(root, tuple(names))
    return snapshot, detect_layout(snapshot, load_config(snapshot))


def entries(root: Path) -> dict[tuple[str, str], list[OpEntry]]:
    """The operators of a tree's main build, by side and name."""
    found: dict[tuple[str, str], list[OpEntry]] = {}
    for entry in inventory(*tree(root)):
        if not entry.build:
            found.setdefault((entry.side.value, entry.full_name), []).append(entry)
    return found


def compare(before: Path, migrated: Path, by_hand: Path, units: Sequence[str]) -> list[Row]:
    """A row for each operator that the units implement."""
    snapshot, layout = tree(before)
    selection = select(Registry(snapshot, layout), Group("replay", tuple(units)))
    names = dict.fromkeys(f"{m.statement.namespace}::{m.statement.full_name}" for m in selection.moved)
    legacy, ours, theirs = entries(before), entries(migrated), entries(by_hand)
    return [_row(name, legacy, ours, theirs) for name in names]


Entries = dict[tuple[str, str], list[OpEntry]]


def _row(name: str, before: Entries, ours: Entries, theirs: Entries) -> Row:
    mine = ours.get((Side.STABLE.value, name), [])
    hand = theirs.get((Side.STABLE.value, name), [])
    legacy = ours.get((Side.LEGACY.value, name), [])
    if not hand:
        return Row(name, "not by hand" if mine else "neither", (f"by hand: {_side(theirs, name)}",))
    if not mine:
        return Row(name, "MISSING")
    if legacy or sum(e.definitions for e in mine) != 1:
        return Row(name, "TWICE", tuple(f"{e.side.value} {e.file}" for e in (*mine, *legacy)))
    details = []
    # by hand, the definition of an operator may have stayed behind when its implementation moved
    hand_schema = next((e.schema for e in (*hand, *theirs.get((Side.LEGACY.value, name), [])) if e.schema), "")
    if _squeezed(mine[0].schema) != _squeezed(hand_schema):
        details += [f"ours:    {mine[0].schema}", f"by hand: {hand_schema}"]
    my_keys, hand_keys, old_keys = _keys(mine), _keys(hand), _keys(before[Side.LEGACY.value, name])
    if my_keys != hand_keys:
        lost_by_hand = my_keys == old_keys and hand_keys < my_keys
        if lost_by_hand and not details:
            return Row(name, "kept more", (f"by hand lost the key {', '.join(sorted(my_keys - hand_keys))}",))
        details.append(f"keys: {sorted(my_keys)}, by hand {sorted(hand_keys)}")
    return Row(name, "DIFFERENT" if details else "same", tuple(details))


def _keys(found: Sequence[OpEntry]) -> set[str]:
    return {EXPLICIT if key in NO_KEY else key for entry in found for key in entry.keys}


def _side(found: dict[tuple[str, str], list[OpEntry]], name: str) -> str:
    return "legacy" if (Side.LEGACY.value, name) in found else "gone"


def _squeezed(schema: str) -> str:
    return "".join(schema.split())


def main(arguments: Sequence[str]) -> int:
    """Print the table; 1 where an operator went missing, is registered twice or differs."""
    if len(arguments) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    before, migrated, by_hand = (Path(a).resolve() for a in arguments[:3])
    rows = compare(before, migrated, by_hand, arguments[3:])
    for row in rows:
        print(f"{row.verdict:<12} {row.name}")
        for detail in row.details:
            print(f"{'':<14}{detail}")
    counts = {
        verdict: sum(row.verdict == verdict for row in rows) for verdict in dict.fromkeys(r.verdict for r in rows)
    }
    print(f"{len(rows)} operators: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return 1 if any(row.is_failure for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
