"""Operators that a plan would lose or change, compared with those before it."""

from __future__ import annotations

from dataclasses import replace

from torch_stabilize.bindings.codes import BAD_SCHEMA, NO_SCHEMA, UNBOXABLE
from torch_stabilize.bindings.inventory import compare_inventories, inventory, registry_inventory
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.model import (
    Diagnostic,
    Plan,
)
from torch_stabilize.program.planned import planned_tree
from torch_stabilize.repository.codes import EDITS_COLLIDE

_LOSING = frozenset({NO_SCHEMA.code, BAD_SCHEMA.code, UNBOXABLE.code})  # why an operator may not be written


def lost_operators(registry: Registry, plan: Plan) -> tuple[Diagnostic, ...]:
    """Operators that the plan would lose or rename, or give another schema or key."""
    if any(diagnostic.code == EDITS_COLLIDE for diagnostic in plan.diagnostics):
        return ()  # said first: registrations in that file stay as they are
    lost = compare_inventories(
        registry_inventory(registry), inventory(planned_tree(registry.snapshot, plan), registry.layout)
    )
    return tuple(_with_reason(one, plan) for one in lost)


def _with_reason(lost: Diagnostic, plan: Plan) -> Diagnostic:
    """`lost` with why the operator was not written, where the bindings say so."""
    name = lost.subject.rpartition("::")[2]
    why = next((d for d in plan.diagnostics if d.code in _LOSING and d.subject == name), None)
    return replace(lost, help=f"{why.message}: {why.help}") if why is not None else lost
