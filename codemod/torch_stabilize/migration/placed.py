"""The layout and the group of a migration once its form is known: moved, converted as a whole, or split in place."""

from __future__ import annotations

from dataclasses import replace

from torch_stabilize.bindings.reading.model import BlockKind
from torch_stabilize.bindings.reading.registry import registry_of
from torch_stabilize.bindings.select import select
from torch_stabilize.layout.read import Program
from torch_stabilize.program.forms import Placement, whole_layout
from torch_stabilize.program.groups import with_headers
from torch_stabilize.program.units import Units
from torch_stabilize.repository.layout import Form, Group, Layout
from torch_stabilize.repository.snapshot import Snapshot


def placed(program: Program, layout: Layout, group: Group, placement: Placement) -> tuple[Layout, Group]:
    """The layout and the group of a migration in the form of `placement`."""
    snapshot, config = program.snapshot, program.config
    along = placement.along if placement.form is Form.WHOLE_IN_PLACE else ()
    if placement.form is Form.SPLIT_IN_PLACE:
        along = _registering_for(snapshot, layout, group)
    units = tuple(sorted({*group.units, *along}))
    if placement.form is Form.WHOLE_IN_PLACE:
        layout = whole_layout(program, layout, placement, units)
    roots = layout.include_roots
    if placement.form is not Form.MOVED:
        entries = (entry for library in placement.libraries for entry in library.entries)
        named = (folder for entry in entries for folder in entry.include_dirs)
        roots = tuple(dict.fromkeys((*roots, *named)))
    searches_more = roots != layout.include_roots
    layout = replace(layout, form=placement.form, include_roots=roots)
    if units == group.units and not searches_more:
        return layout, group
    left = tuple(path for path in group.registrations if path not in units)
    found = with_headers(Units(snapshot, layout, config), group.name, units, group.migrated)
    return layout, found._replace(registrations=left)


def _registering_for(snapshot: Snapshot, layout: Layout, group: Group) -> tuple[str, ...]:
    """The files of registrations that were asked for and of which everything moves with the units of `group`."""
    if not group.registrations:
        return ()
    registry = registry_of(snapshot, layout)
    moved = {(one.statement.path, one.statement.span) for one in select(registry, group).moved}
    found = []
    for path in group.registrations:
        bindings = registry.bindings.get(path)
        if bindings is None or any(block.kind is BlockKind.PYBIND for block in bindings.blocks):
            continue
        if all((statement.path, statement.span) in moved for statement in bindings.statements):
            found.append(path)
    return tuple(found)
