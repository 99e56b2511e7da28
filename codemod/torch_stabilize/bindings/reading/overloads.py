"""Overloads of one Python name: pybind11 tells them apart by type when called, operators by an overload name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch_stabilize.bindings.reading.model import BlockKind, FunctionRef, Statement, StatementKind
from torch_stabilize.bindings.schemas.infer import read_type
from torch_stabilize.source.types import split_arguments


def told_apart(statements: Sequence[Statement]) -> list[Statement]:
    """`statements` with an overload name for every `def` of a Python name but its first: `f`, `f.Tensor_int`."""
    taken: set[tuple[str, str]] = set()
    found = []
    for statement in statements:
        if statement.block.kind is BlockKind.PYBIND and statement.kind is StatementKind.DEF:
            name, number = statement.full_name, 1
            while (statement.namespace, name) in taken:
                overload = _overload_name(statement.function) if number == 1 else ""
                statement = statement._replace(overload=overload or f"overload{number}")
                name, number = statement.full_name, number + 1
            taken.add((statement.namespace, name))
        found.append(statement)
    return found


def _overload_name(function: FunctionRef | None) -> str:
    """The parameter types of a cast or a lambda, joined: "Tensor_int"; "" where they cannot be read."""
    if function is None:
        return ""
    text = function.cast
    if inside := re.search(r"\(\s*\*?\s*\)\s*\((?P<parameters>.*)\)$", text, re.DOTALL):
        text = inside["parameters"]
    elif function.is_lambda and (head := re.match(r"\[\s*\]\s*\((?P<parameters>[^()]*)\)", function.text)):
        text = ", ".join(re.sub(r"\s*\b\w+$", "", part) for part in split_arguments(head["parameters"]))
    kinds = [read_type(part, {}) for part in split_arguments(text)]
    return "_".join(kind.leaf for kind in kinds if kind) if kinds and all(kinds) else ""
