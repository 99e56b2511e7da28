"""Extension modules that one call makes several of: in a loop over a table, or in a function called with literals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.python.syntax import PythonFile, dotted_name
from torch_stabilize.buildfiles.setup.values import Bindings, value_given

if TYPE_CHECKING:
    import libcst as cst


class Round(NamedTuple):
    """One round of the loop, or one call of the function, at `site`; `given` are the values of its variables.

    `row` is the row of the table, None for a call.
    """

    site: cst.CSTNode
    given: Mapping[str, cst.CSTNode]
    row: cst.CSTNode | None = None


def rounds_of(file: PythonFile, bindings: Bindings, call: cst.Call) -> list[Round]:
    """The rounds that make `call` more than once, with what differs; none where it is made once or that is unknown."""
    import libcst as cst

    names = {name.value for name in file.find_in(call, cst.Name)}
    for around in file.around(call):
        if isinstance(around, (cst.For, cst.ListComp)):
            loop = around if isinstance(around, cst.For) else around.for_in
            table = _literal(bindings, loop.iter)
            found = list(_rows(around, loop.target, table)) if table is not None else []
            return found if all(names & set(one.given) for one in found) else []
        if isinstance(around, cst.FunctionDef):
            return [one for one in _calls(file, around) if names & set(one.given)]
    return []


def _literal(bindings: Bindings, node: cst.CSTNode) -> cst.CSTNode | None:
    """The table that a loop runs over: written there, or the one value of a name; `x.items()` of a dict counts."""
    import libcst as cst

    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "items":
        table = _literal(bindings, node.func.value)
        return table if isinstance(table, cst.Dict) else None
    if isinstance(node, cst.Name):
        bound = bindings.of(node.value, node)
        is_assigned = len(bound) == 1 and isinstance(bound[0], (cst.Assign, cst.AnnAssign))
        value = value_given(bound[0], node.value) if is_assigned else None
        return value if isinstance(value, (cst.List, cst.Tuple, cst.Dict)) else None
    return node if isinstance(node, (cst.List, cst.Tuple, cst.Dict)) else None


def _rows(loop: cst.CSTNode, target: cst.CSTNode, table: cst.CSTNode) -> Iterator[Round]:
    import libcst as cst

    if isinstance(table, cst.Dict):
        for pair in table.elements:
            if isinstance(pair, cst.DictElement) and isinstance(target, cst.Tuple):
                yield Round(loop, _bound(target, [pair.key, pair.value]), pair)
        return
    assert isinstance(table, (cst.List, cst.Tuple))
    for element in table.elements:
        value = element.value
        if isinstance(target, cst.Name):
            yield Round(loop, {target.value: value}, value)
        elif isinstance(target, cst.Tuple) and isinstance(value, (cst.Tuple, cst.List)):
            yield Round(loop, _bound(target, [part.value for part in value.elements]), value)


def _bound(target: cst.Tuple, values: list[cst.BaseExpression]) -> dict[str, cst.CSTNode]:
    names = [dotted_name(element.value) for element in target.elements]
    return dict(zip(names, values, strict=False)) if len(names) == len(values) and all(names) else {}


def _calls(file: PythonFile, function: cst.FunctionDef) -> Iterator[Round]:
    import libcst as cst

    parameters = [*function.params.posonly_params, *function.params.params]
    every = [*parameters, *function.params.kwonly_params]
    defaults: dict[str, cst.CSTNode] = {p.name.value: p.default for p in every if p.default is not None}
    for call in file.find(cst.Call):
        if dotted_name(call.func) != function.name.value or any(argument.star for argument in call.args):
            continue
        plain = [argument.value for argument in call.args if argument.keyword is None]
        given: dict[str, cst.CSTNode] = dict(zip((p.name.value for p in parameters), plain, strict=False))
        given |= {argument.keyword.value: argument.value for argument in call.args if argument.keyword is not None}
        yield Round(call, {**defaults, **given})
