"""What a reader of the plan should know about the group itself."""

from __future__ import annotations

from collections.abc import Iterator

from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.repository.codes import BRANCHES_UNUSED, MIGRATED_ALREADY
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.unstable import has_legacy_branches
from torch_stabilize.source.document import HEADER_SUFFIXES


def notes_on(snapshot: Snapshot, layout: Layout, graph: IncludeGraph, group: Group) -> tuple[Diagnostic, ...]:
    """A note for every unit that has migrated already, and for every header that `group` is the last legacy user of."""
    migrated = tuple(
        Diagnostic(MIGRATED_ALREADY, Severity.NOTE, unit, Span(0, 0), "has migrated already") for unit in group.migrated
    )
    unused = tuple(
        Diagnostic(
            BRANCHES_UNUSED, Severity.NOTE, header, Span(0, 0),
            "no legacy unit includes it any more: its branches for them can go",
        )
        for header in _without_legacy_users(layout, graph, group)
        if has_legacy_branches(snapshot.document(header).code)
    )  # fmt: skip
    return (*migrated, *unused)


def _without_legacy_users(layout: Layout, graph: IncludeGraph, group: Group) -> Iterator[str]:
    """The headers that no legacy unit reaches but those of `group`."""
    for header in graph.closure(group.units):
        if header.endswith(HEADER_SUFFIXES):
            users = graph.units_reaching(header)
            if all(path in group.units or layout.is_stable(path) for path in users):
                yield header
