"""Legacy sources with their autograd functions taken apart: plain operators, and a backward that Python registers.

The result is legacy code as well, which the rest of a migration reads in place of what was there: the class is gone,
the function that applied it has the body of `forward`, and another operator that of `backward`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from codemod.bindings import codes
from codemod.bindings.autograd.classes import AutogradClass, Reason, autograd_classes, read_class
from codemod.bindings.reading.model import BlockKind, Statement, StatementKind
from codemod.bindings.reading.namespaces import package_folder, package_of_module
from codemod.bindings.reading.registry import Registry
from codemod.bindings.select import diagnostic
from codemod.model import Diagnostic, Edit, Severity, Span
from codemod.repository.layout import Group
from codemod.source.document import Document
from codemod.source.edits import apply
from codemod.source.signatures import Function, read_signatures

_USING = re.compile(rb"^[ \t]*using\s+torch::autograd::(?P<name>\w+)\s*;[ \t]*\r?\n", re.MULTILINE)
_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*<torch/(?:autograd|csrc/autograd/\w+)\.h>[ \t]*\r?\n", re.MULTILINE)


class Backward(NamedTuple):
    """What Python registers for one operator: `namespace::op`, and Python text."""

    operator: str
    text: str


class Converted(NamedTuple):
    """The files that change, what Python registers, and what is to be said."""

    files: Mapping[str, bytes] = {}
    backwards: tuple[Backward, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def convert_autograd(registry: Registry, group: Group) -> Converted:
    """The autograd functions in the units of `group` that can be converted, and why others cannot."""
    edits: dict[str, list[Edit]] = {}
    backwards: list[Backward] = []
    said: list[Diagnostic] = []
    for path in group.units:
        document = registry.document(path)
        for name, span, body in autograd_classes(document) if b"Function" in document.data else ():
            try:
                made = read_class(document, name, span, body)
                found, backward = _converted(registry, document, made)
            except Reason as reason:
                message = f"{name} cannot become operators: {reason}"
                advice = "write the backward in Python with torch.library.register_autograd"
                said.append(
                    diagnostic(codes.AUTOGRAD_LEFT, path, span, message, severity=Severity.ERROR, advice=advice)
                )
                continue
            for where, edit in found:
                edits.setdefault(where, []).append(edit)
            backwards.append(backward)
            message = f"{name} is {backward.operator} and its backward now, joined in Python"
            said.append(diagnostic(codes.AUTOGRAD_CONVERTED, path, Span(0, 0), message))
    files = {path: _tidied(apply(registry.document(path).data, found)) for path, found in edits.items()}
    return Converted(files, tuple(backwards), tuple(said))


def _converted(registry: Registry, document: Document, made: AutogradClass) -> tuple[list[tuple[str, Edit]], Backward]:
    wrapper = _wrapper(document, made)
    statement = _registering(registry, wrapper)
    layout, snapshot = registry.layout, registry.snapshot
    if not package_folder(snapshot, layout, package_of_module(snapshot, layout, layout.legacy_library)):
        raise Reason("there is no Python package whose module could register its backward")
    backward = f"{statement.name}_backward"
    if any(s.name == backward for s in registry.statements) or backward.encode() in document.words:
        raise Reason(f"there is a {backward} already")
    assert wrapper.body is not None
    head = document.data[wrapper.head.start : wrapper.head.end].decode("utf-8", "replace")
    taken = ", ".join(f"{kind} {name}" for kind, name in made.parameters)
    opening = head.index("(")
    text = f"{head[:opening]}({taken}) ".encode() + _dedented(made.forward)
    other = _backward_function(made, backward)
    registered = _registration(statement, made, backward)
    edits = [
        (document.path, Edit(made.span, b"", codes.AUTOGRAD_CONVERTED.code)),
        (document.path, Edit(wrapper.span, text + b"\n\n" + other, codes.AUTOGRAD_CONVERTED.code)),
    ]
    bound = registry.document(statement.path)
    place = Span(statement.span.end, statement.span.end)
    edits.append((statement.path, Edit(place, f"\n  {registered}".encode(), codes.AUTOGRAD_CONVERTED.code)))
    if statement.path != document.path:
        includes = [m.end() for m in re.finditer(rb"^[ \t]*#[ \t]*include[^\n]*\n", bound.data, re.MULTILINE)]
        head_of = other[: other.index(b" {")] + b";\n"
        at = includes[-1] if includes else 0
        edits.append((statement.path, Edit(Span(at, at), b"\n" + head_of, codes.AUTOGRAD_CONVERTED.code)))
    return edits, Backward(f"{statement.namespace}::{statement.name}", _python(statement, made, backward))


def _wrapper(document: Document, made: AutogradClass) -> Function:
    """The one function that applies the class to its own parameters and does nothing else."""
    applied = re.compile(rb"\{\s*return\s+" + made.name.encode() + rb"\s*::\s*apply\s*\((?P<given>[\w\s,]*)\)\s*;\s*\}")
    uses = len(re.findall(rb"\b" + made.name.encode() + rb"\s*::", document.code))
    found = []
    for function in read_signatures(document):
        body = document.code[function.body.start : function.body.end] if function.body else b""
        match = applied.fullmatch(body)
        if match:
            given = [part.strip().decode() for part in match["given"].split(b",")]
            if given == [parameter.name for parameter in function.parameters]:
                found.append(function)
    if len(found) != 1 or uses != 1 or len(found[0].parameters) != len(made.parameters):
        raise Reason("it is not applied by one function that hands on its own arguments")
    return found[0]


def _registering(registry: Registry, wrapper: Function) -> Statement:
    """The statement that registers the function, without a key."""
    found = [
        s for s in registry.statements
        if s.function is not None and s.function.is_plain and wrapper.answers_to(s.function.name)
    ]  # fmt: skip
    if len(found) != 1 or found[0].kind is not StatementKind.DEF or found[0].key:
        raise Reason(f"{wrapper.name} is not registered once, by a `def` without a key")
    return found[0]


def _backward_function(made: AutogradClass, name: str) -> bytes:
    count = len({place for place in made.gives if place is not None})
    returned = "at::Tensor" if count == 1 else f"std::tuple<{', '.join(['at::Tensor'] * count)}>"
    parameters = [f"const at::Tensor& {n}" for n in (made.gradient, *made.names)]
    parameters += [f"{kind} {n}" for kind, n, _ in made.values]
    return f"{returned} {name}({', '.join(parameters)}) ".encode() + _dedented(made.backward)


def _registration(statement: Statement, made: AutogradClass, name: str) -> str:
    variable = statement.block.variable
    if statement.block.kind is BlockKind.PYBIND:
        return f'{variable}.def("{name}", &{name});'
    count = len({place for place in made.gives if place is not None})
    returned = "Tensor" if count == 1 else f"({', '.join(['Tensor'] * count)})"
    kinds = {"double": "float", "int64_t": "int", "bool": "bool"}
    arguments = [f"Tensor {n}" for n in (made.gradient, *made.names)] + [f"{kinds[k]} {n}" for k, n, _ in made.values]
    return f'{variable}.def("{name}({", ".join(arguments)}) -> {returned}", &{name});'


def _python(statement: Statement, made: AutogradClass, backward: str) -> str:
    """`register_autograd` for the operator of `statement`."""
    names = [name for _, name in made.parameters]
    label = statement.name
    lines = [f"def _setup_{label}(ctx, inputs, output):", f"    {_unpacked(names)} = inputs"]
    if made.tensors:
        lines.append(f"    ctx.save_for_backward({', '.join(made.tensors)})")
    lines += [f"    ctx.{argument} = {argument}" for _, _, argument in made.values]
    lines += ["", "", f"def _backward_{label}(ctx, {made.gradient}):"]
    given = [made.gradient]
    if made.tensors:
        lines.append(f"    {_unpacked(made.names)} = ctx.saved_tensors")
        given += made.names
    given += [f"ctx.{argument}" for _, _, argument in made.values]
    lines.append(f"    gradients = torch.ops.{statement.namespace}.{backward}({', '.join(given)})")
    several = len({place for place in made.gives if place is not None}) > 1
    results = ["None" if p is None else f"gradients[{p}]" if several else "gradients" for p in made.gives]
    lines.append(f"    return {', '.join(results)}")
    qualified = f"{statement.namespace}::{statement.full_name}"
    registered = f'"{qualified}", _backward_{label}, setup_context=_setup_{label}'
    return "\n".join([*lines, "", "", f"torch.library.register_autograd({registered})"]) + "\n"


def _unpacked(names: Sequence[str]) -> str:
    """What a tuple of these names is assigned to."""
    return f"({names[0]},)" if len(names) == 1 else ", ".join(names)


def _dedented(body: bytes) -> bytes:
    """A method's body as a function at file scope has it: one step to the left."""
    lines = body.strip().split(b"\n")
    closing = re.match(rb"[ \t]*", lines[-1])
    indent = closing.group() if closing and len(lines) > 1 else b""
    return b"\n".join(line.removeprefix(indent) for line in lines)


def _tidied(data: bytes) -> bytes:
    """Without the names of torch::autograd that nothing uses any more, and its headers."""

    def unused(match: re.Match[bytes]) -> bytes:
        uses = re.findall(rb"\b" + match["name"] + rb"\b", data)
        return b"" if len(uses) == 1 else match.group()

    data = _USING.sub(unused, data)
    if b"autograd::" not in data:
        data = _INCLUDE.sub(b"", data)
    return re.sub(rb"\n{3,}", b"\n\n", data)
