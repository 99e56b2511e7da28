"""Meta kernels as fake kernels in Python.

Those over SymInt are written out: the stable API has plain ints, which would fix every size. Others are suggested.
"""

from __future__ import annotations

from torch_stabilize.bindings.fakes.derive import derived
from torch_stabilize.bindings.reading.namespaces import package_folder, package_of_module
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.schemas.fakes import fake_kernel, fake_stub
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
    if moved.in_place or not package_folder(snapshot, layout, package):
        return ""
    lines = _lines(registry, moved, schema)
    return fake_kernel(moved.statement.namespace, schema, lines) if lines is not None else ""


def suggested_fake(registry: Registry, moved: Moved, schema: Schema) -> str:
    """A fake kernel for somebody to start from: with the results of a kernel in C++ where its body is plain."""
    lines = _lines(registry, moved, schema)
    namespace = moved.statement.namespace
    return fake_kernel(namespace, schema, lines) if lines is not None else fake_stub(namespace, schema)


def _lines(registry: Registry, moved: Moved, schema: Schema) -> list[str] | None:
    located = next(iter(moved.functions), None)
    if located is None or located.function.body is None or not schema.returns:
        return None
    body = located.function.body
    pairs = zip(located.function.parameters, schema.arguments, strict=False)
    names = {parameter.name: argument.name for parameter, argument in pairs if parameter.name}
    text = registry.document(located.path).code[body.start : body.end]
    return derived(text, names, len(schema.returns))
