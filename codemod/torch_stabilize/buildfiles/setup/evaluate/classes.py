"""Classes of the repository that are no extension classes, and what is made of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.setup.evaluate.values import (
    Arguments,
    Blueprint,
    External,
    Function,
    Instance,
    Partial,
    Table,
    Text,
    Unknown,
    Value,
    alternatives,
    choice,
    without,
)  # fmt: skip

if TYPE_CHECKING:
    from torch_stabilize.buildfiles.setup.evaluate.functions import Functions

_FIELDS = frozenset({"dataclass", "dataclasses.dataclass", "NamedTuple", "typing.NamedTuple"})


def made_of(evaluator: Functions, node: ast.Call, kind: Blueprint, given: Arguments) -> Instance:
    """What calling a class gives, once its `__init__` has run."""
    made = Instance(kind, Table({}, evaluator.state.when))
    start = _in_class(kind, "__init__")
    if isinstance(start, Function):
        evaluator.run(node, start, given._replace(by_place=[made, *given.by_place]))
    elif any(isinstance(one, External) and one.name in _FIELDS for one in (*kind.decorators, *kind.bases)):
        names = [name for one in reversed(list(_lines(kind))) for name in one.fields]
        values = dict(zip(names, given.by_place, strict=False)) | dict(given.by_name)
        for name, value in values.items():
            evaluator.put(made.attributes, Text(name), value, node)
    return made


def attribute_of(evaluator: Functions, node: ast.Attribute, held: Instance | Blueprint) -> Value:
    """An attribute of an instance or a class: a value, or a function that is given what it belongs to."""
    kind = held.kind if isinstance(held, Instance) else held
    if isinstance(held, Instance) and node.attr in held.attributes.values:
        return held.attributes.values[node.attr]
    found = _in_class(kind, node.attr)
    if not isinstance(found, Function) or isinstance(found.node, ast.Lambda):
        if found is not None:
            return found
        is_open = any(not isinstance(base, Blueprint) for one in _lines(kind) for base in one.bases)
        return Unknown(node.attr) if is_open else evaluator.not_read(node, "the class does not define it")
    words = {ast.unparse(decorator) for decorator in found.node.decorator_list}
    if "staticmethod" in words:
        return found
    if "classmethod" in words:
        return Partial(found, Arguments([kind]))
    if words & {"property", "cached_property", "functools.cached_property"} and isinstance(held, Instance):
        call = ast.copy_location(ast.Call(node, [], []), node)
        return evaluator.run(call, found, Arguments([held]))
    return Partial(found, Arguments([held])) if isinstance(held, Instance) else found


def set_attribute(evaluator: Functions, held: Value, name: str, value: Value, node: ast.expr) -> None:
    """`held.name = value`, under the conditions that hold here."""
    for when, one in alternatives(held, evaluator.state.when):
        with evaluator.state.under(when):
            if isinstance(one, Instance):
                evaluator.put(one.attributes, Text(name), value, node)
            elif isinstance(one, Blueprint):
                known = one.names.get(name)
                is_open = bool(when) and known is not None
                one.names[name] = choice([(when, value), (without(when), known)]) if is_open and known else value


def fields_of(body: Sequence[ast.stmt]) -> tuple[str, ...]:
    """The names that a class declares with their types."""
    return tuple(s.target.id for s in body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name))


def _lines(kind: Blueprint) -> Iterator[Blueprint]:
    """The class and those that it is built on, as far as the repository defines them."""
    yield kind
    for base in kind.bases:
        if isinstance(base, Blueprint):
            yield from _lines(base)


def _in_class(kind: Blueprint, name: str) -> Value | None:
    return next((one.names[name] for one in _lines(kind) if name in one.names), None)
