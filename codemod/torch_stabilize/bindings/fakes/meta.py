"""Meta kernels over SymInt as fake kernels in Python: the stable API has plain ints, which would fix every size."""

from __future__ import annotations

from torch_stabilize.bindings.fakes.derive import derived
from torch_stabilize.bindings.reading.namespaces import package_folder, package_of_module
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.schemas.fakes import fake_kernel
from torch_stabilize.bindings.select import Moved
from torch_stabilize.surface.schema import Schema


def is_symbolic_meta(moved: Moved) -> bool:
    """Whether `moved` is a kernel for Meta that takes SymInt."""
    parameters = [p for located in moved.functions[:1] for p in located.function.parameters]
    return moved.statement.key == "Meta" and any("SymInt" in parameter.type_text for parameter in parameters)


def symbolic_fake(registry: Registry, moved: Moved, schema: Schema) -> str:
    """The fake kernel for such a kernel, "" where its body is not plain or no package could import it."""
    snapshot, layout = registry.snapshot, registry.layout
    package = package_of_module(snapshot, layout, layout.legacy_library)
    located = moved.functions[0]
    body = located.function.body
    if moved.in_place or body is None or not package_folder(snapshot, layout, package):
        return ""
    pairs = zip(located.function.parameters, schema.arguments, strict=False)
    names = {parameter.name: argument.name for parameter, argument in pairs if parameter.name}
    text = registry.document(located.path).code[body.start : body.end]
    lines = derived(text, names, len(schema.returns))
    return fake_kernel(moved.statement.namespace, schema, lines) if lines is not None else ""
