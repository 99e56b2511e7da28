"""A function that moves and is still called by what stays: the legacy library gets one that calls the operator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch_stabilize.bindings.reading.model import BlockKind, Statement
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.reading.text import encode
from torch_stabilize.bindings.select import Selection
from torch_stabilize.layout.read import libraries_of
from torch_stabilize.model import Diagnostic, Edit, FileEdit, Severity, Span
from torch_stabilize.repository.codes import CALLED_THROUGH_OPERATOR
from torch_stabilize.source.document import UNIT_SUFFIXES
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import split_arguments

_PASSED = frozenset({"Tensor", "int64_t", "double", "bool", "IntArrayRef", "ScalarType"})
_RETURNED = frozenset({"void", "Tensor", "int64_t", "double", "bool"})
_WIDER = {"int": "int64_t", "int32_t": "int64_t", "float": "double"}


class Bridge(NamedTuple):
    """A definition for the legacy library: the file it is for, and what is to be said of it."""

    path: str
    text: str
    diagnostic: Diagnostic


def bridge(
    registry: Registry, selection: Selection, functions: Sequence[Function], users: Iterable[tuple[str, int]]
) -> Bridge | None:
    """A definition that calls the operator which the function became; None where C++ cannot call it with its types.

    `functions` are its legacy declarations, `users` the places that need a definition.
    """
    places = sorted(users)
    statement = _operator(selection, functions[0])
    if statement is None or any(not path.endswith(UNIT_SUFFIXES) for path, _ in places):
        return None
    if len({libraries_of(registry.snapshot, (path,)) for path, _ in places}) > 1:
        return None
    if len({tuple(p.type_text for p in one.parameters) for one in functions}) > 1 or functions[0].template:
        return None
    text = _definition(functions[0], statement)
    if text is None:
        return None
    path, offset = places[0]
    name = f"{statement.namespace}::{statement.full_name}"
    said = Diagnostic(
        CALLED_THROUGH_OPERATOR,
        Severity.WARNING,
        path,
        Span(offset, offset + len(functions[0].name)),
        f"{functions[0].qualified} moves and is called here: the legacy library calls the operator {name}",
        "the stable library has to be loaded before this runs",
        functions[0].name,
    )
    return Bridge(path, text, said)


def bridge_edits(registry: Registry, bridges: Iterable[Bridge]) -> list[FileEdit]:
    """The definitions at the end of the files that need them."""
    texts: dict[str, list[str]] = {}
    for one in bridges:
        texts.setdefault(one.path, []).append(one.text)
    edits = []
    for path, found in texts.items():
        data = registry.document(path).data
        start = "" if data.endswith(b"\n") else "\n"
        text = "\n".join(["", "#include <ATen/core/dispatch/Dispatcher.h>", *(f"\n{one}" for one in found), ""])
        end = Span(len(data), len(data))
        edits.append(FileEdit(path, Edit(end, encode(start + text), CALLED_THROUGH_OPERATOR)))
    return edits


def _operator(selection: Selection, function: Function) -> Statement | None:
    """The operator that a function implements: one of the dispatcher before one that Python had."""
    found = [
        moved.statement
        for moved in selection.moved
        if moved.statement.function is not None
        and not moved.statement.function.is_lambda
        and any(one.function.qualified == function.qualified for one in moved.functions)
    ]
    return min(found, key=lambda one: one.block.kind is BlockKind.PYBIND, default=None)


def _definition(function: Function, statement: Statement) -> str | None:
    passed = [_passed(parameter.type_text) for parameter in function.parameters]
    returned = _returned(function.return_type)
    if returned is None or any(one is None for one in passed) or function.is_local:
        return None
    names = [parameter.name or f"arg{place}" for place, parameter in enumerate(function.parameters)]
    kinds = [kind or "" for kind in passed]
    parameters = ", ".join(f"{p.type_text} {name}" for p, name in zip(function.parameters, names, strict=True))
    arguments = ", ".join(
        name if kind == p.type_text else f"static_cast<{kind}>({name})"
        for kind, p, name in zip(kinds, function.parameters, names, strict=True)
    )
    called = f"op.call({arguments})"
    if returned != function.return_type:
        called = f"static_cast<{function.return_type}>({called})"
    name = f"{statement.namespace}::{statement.name}"
    return (
        f"// Its definition is in the stable library, and the dispatcher finds it there.\n"
        f"{function.return_type} {function.qualified}({parameters}) {{\n"
        f"  static const auto op = c10::Dispatcher::singleton()\n"
        f'      .findSchemaOrThrow("{name}", "{statement.overload}")\n'
        f"      .typed<{returned}({', '.join(kinds)})>();\n"
        f"  {'' if returned == 'void' else 'return '}{called};\n}}\n"
    ).removesuffix("\n")


def _passed(text: str) -> str | None:
    """The type with which the dispatcher takes a parameter, None for none."""
    bare = _bare(text)
    inner = re.fullmatch(r"optional<(.*)>", bare)
    if bare in _PASSED or (inner is not None and inner[1] in _PASSED - {"IntArrayRef"}):
        return text if "&&" not in text else None
    return _WIDER.get(bare)


def _returned(text: str) -> str | None:
    bare = _bare(text)
    if "&" in text:
        return None
    if bare in _RETURNED or bare == "vector<Tensor>":
        return text
    parts = re.fullmatch(r"tuple<(.*)>", bare)
    if parts is not None and all(part in _RETURNED for part in split_arguments(parts[1])):
        return text
    return _WIDER.get(bare)


def _bare(text: str) -> str:
    """A type without namespaces of torch, spaces, const outside of its arguments and references."""
    text = re.sub(r"^\s*const\b|\bconst\s*(?=[&\s]*$)|[&\s]+$", "", re.sub(r"[&\s]+$", "", text))
    return re.sub(r"\s+", "", re.sub(r"\b(?:std|at|torch|c10)\s*::\s*", "", text))
