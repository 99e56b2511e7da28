"""Functions that give back the argument they write to become two operators: no compiler takes such a kernel."""

from __future__ import annotations

from torch_stabilize.bindings.keys import IMPLICIT
from torch_stabilize.bindings.reading.model import BlockKind, Statement
from torch_stabilize.bindings.reading.namespaces import package_folder, package_of_module
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.schemas.fakes import argument_name, python_function
from torch_stabilize.surface.schema import Schema


def kernel_name(name: str) -> str:
    """What the operator is called that does the writing for the function `name`."""
    return f"{name.rstrip('_')}_kernel"


def writing_kernel(registry: Registry, statement: Statement, schema: Schema) -> Schema | None:
    """The operator that a function of a Python module implements where all that it gives back are written arguments.

    It has a name of its own and gives nothing back; Python puts the operator of `statement` together from it. None
    where the function gives something else, or there is no Python module that could.
    """
    if statement.block.kind is not BlockKind.PYBIND or not schema.returns:
        return None
    if any("!" not in value.type.alias for value in schema.returns):
        return None
    snapshot, layout = registry.snapshot, registry.layout
    name = kernel_name(schema.name)
    if any(other.name == name for other in registry.statements):
        return None
    if not package_folder(snapshot, layout, package_of_module(snapshot, layout, statement.block.namespace)):
        return None
    return schema._replace(name=name, returns=())


def python_of(namespace: str, schema: Schema, kernel: Schema) -> str:
    """Python text: the operator of `schema` calls `kernel` and returns what that writes to."""
    names = {argument.name: argument_name(argument) for argument in schema.arguments}
    of = {argument.type.alias: names[argument.name] for argument in schema.arguments}
    given = [f"{names[a.name]}={names[a.name]}" if a.keyword_only else names[a.name] for a in schema.arguments]
    body = [
        f"torch.ops.{namespace}.{kernel.full_name}({', '.join(given)})",
        f"return {', '.join(of[value.type.alias] for value in schema.returns)}",
    ]
    registered = f'@torch.library.impl(_{namespace}, "{schema.full_name}", "{IMPLICIT}")'
    return f"{registered}\n{python_function(schema, body)}"
