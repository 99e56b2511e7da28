"""Trees in memory, migrated group by group as `scan` suggests, or as a test names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Diagnostic, Plan, Severity
from torch_stabilize.program.groups import resolve_group, suggest_groups
from torch_stabilize.program.planned import planned_tree
from torch_stabilize.repository.snapshot import Snapshot


def tree_of(files: Mapping[str, str]) -> Snapshot:
    """A tree that is nowhere on disk. Texts may be indented as a whole."""
    data = {path: dedent(text).lstrip("\n").encode() for path, text in files.items()}
    return Snapshot(Path("."), tuple(sorted(data)), data)


class Migrated(NamedTuple):
    """The tree after some requests, and what each of them had to say."""

    snapshot: Snapshot
    plans: tuple[Plan, ...]

    def text(self, path: str) -> str:
        return self.snapshot.read(path).decode()

    @property
    def said(self) -> list[Diagnostic]:
        return [diagnostic for plan in self.plans for diagnostic in plan.diagnostics]

    @property
    def by_hand(self) -> list[str]:
        """What is left to do by hand."""
        return [f"{one.code} {one.message}" for one in self.said if one.severity is Severity.ERROR]


def migrated(files: Mapping[str, str], *requests: Sequence[str]) -> Migrated:
    """`files` after `requests`, one on top of the other; without any, after all that `scan` suggests."""
    snapshot, plans = tree_of(files), list[Plan]()
    for request in requests:
        snapshot, plan = _one(snapshot, tuple(request))
        plans.append(plan)
    while not requests:
        config = load_config(snapshot)
        known = {plan.group for plan in plans}
        groups = suggest_groups(snapshot, detect_layout(snapshot, config), config)
        name = next((group.name for group in groups if group.name not in known), None)
        if name is None:
            break
        snapshot, plan = _one(snapshot, (name,))
        plans.append(plan)
    return Migrated(snapshot, tuple(plans))


def _one(snapshot: Snapshot, request: tuple[str, ...]) -> tuple[Snapshot, Plan]:
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    group = resolve_group(snapshot, layout, config, request)
    plan = plan_migration(snapshot, layout, group, Options(), config)
    return planned_tree(snapshot, plan), plan
