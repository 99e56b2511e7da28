"""Attributes of a Python module that moves whole: literals, which its Python side has under their names."""

from __future__ import annotations

from torch_stabilize.bindings.reading.model import BlockKind, Statement, StatementKind
from torch_stabilize.bindings.reading.namespaces import package_folder, package_of_module
from torch_stabilize.bindings.reading.pybind_extras import literal_attribute
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import Selection


def constants_of(registry: Registry, selection: Selection) -> dict[Statement, tuple[str, str]]:
    """Name and Python value of what `m.attr("LIMIT") = 16;` sets in the modules that are written anew.

    None where the package has no folder that a Python side could be in.
    """
    moved = [m.statement for m in selection.moved if m.in_place and m.statement.block.kind is BlockKind.PYBIND]
    if not moved:
        return {}
    snapshot, layout = registry.snapshot, registry.layout
    package = package_of_module(snapshot, layout, moved[0].block.namespace)
    if not package_folder(snapshot, layout, package):
        return {}
    blocks = {(statement.path, statement.block.span) for statement in moved}
    found = {}
    for statement in registry.statements:
        if statement.kind is StatementKind.OTHER and (statement.path, statement.block.span) in blocks:
            constant = literal_attribute(registry.document(statement.path), statement)
            if constant is not None:
                found[statement] = constant
    return found
