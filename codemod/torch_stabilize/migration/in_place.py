"""What a migration that moves its files would be in place, where that is as good."""

from __future__ import annotations

from dataclasses import replace

from torch_stabilize.bindings.codes import STAYS_BOUND
from torch_stabilize.config import Config
from torch_stabilize.diff import render_diff
from torch_stabilize.layout.read import Program
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Plan, Refusal
from torch_stabilize.program.forms import is_in_place, place_group, whole_note
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot


def with_way_in_place(
    plan: Plan, snapshot: Snapshot, layout: Layout, group: Group, options: Options, config: Config
) -> Plan:
    """`plan`, with a note where it moves all of a library: how many lines converting it in place would change."""
    layout = layout.for_units(group.units or group.migrated)
    program = Program(snapshot, config, layout.include_roots)
    if not group.units or is_in_place(program, layout, options.in_place, group.units):
        return plan
    placement = place_group(program, layout, group, in_place=False)
    if not placement.is_whole or any(one.code == STAYS_BOUND.code for one in plan.diagnostics):
        return plan
    try:
        other = plan_migration(snapshot, layout, group, replace(options, in_place=True), config)
    except Refusal:
        return plan
    lines = changed_lines(plan), changed_lines(other)
    return replace(plan, diagnostics=(*plan.diagnostics, whole_note(placement, layout, group, lines)))


def changed_lines(plan: Plan) -> int:
    """The lines that the diff of `plan` takes out or puts in."""
    lines = render_diff(plan).splitlines()
    return sum(line[:1] in ("+", "-") and line[:3] not in ("+++", "---") for line in lines)
