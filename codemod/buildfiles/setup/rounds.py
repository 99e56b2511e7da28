"""Extension modules that one call makes several of: in a loop over a table, or in a function called with literals."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from codemod.buildfiles.python.syntax import FUNCTIONS, Function, PythonFile, dotted_name
from codemod.buildfiles.setup.values import Bindings


@dataclass(frozen=True)
class Round:
    """One round of the loop, or one call of the function, at `site`; `given` are the values of its variables.

    `row` is the row of the table, None for a call.
    """

    site: ast.AST
    given: Mapping[str, ast.AST]
    row: ast.AST | None = None


def rounds_of(file: PythonFile, bindings: Bindings, call: ast.Call) -> list[Round]:
    """The rounds that make `call` more than once, with what differs; nothing where it is made once or nobody knows."""
    names = {name.id for name in file.find_in(call, ast.Name)}
    for around in file.around(call):
        if isinstance(around, (ast.For, ast.ListComp)):
            loop = around if isinstance(around, ast.For) else around.generators[0]
            table = _literal(bindings, loop.iter)
            found = list(_rows(around, loop.target, table)) if table is not None else []
            return found if all(names & set(one.given) for one in found) else []
        if isinstance(around, FUNCTIONS):
            return [one for one in _calls(file, around) if names & set(one.given)]
    return []


def _literal(bindings: Bindings, node: ast.AST) -> ast.AST | None:
    """The table that a loop runs over: written there, or the one value of a name; `x.items()` of a dict counts."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "items":
        table = _literal(bindings, node.func.value)
        return table if isinstance(table, ast.Dict) else None
    if isinstance(node, ast.Name):
        bound = bindings.of(node.id, node)
        value = bound[0].value if len(bound) == 1 and isinstance(bound[0], (ast.Assign, ast.AnnAssign)) else None
        return value if isinstance(value, (ast.List, ast.Tuple, ast.Dict)) else None
    return node if isinstance(node, (ast.List, ast.Tuple, ast.Dict)) else None


def _rows(loop: ast.AST, target: ast.AST, table: ast.AST) -> Iterator[Round]:
    if isinstance(table, ast.Dict):
        for key, value in zip(table.keys, table.values, strict=True):
            if key is not None and isinstance(target, ast.Tuple):
                yield Round(loop, _bound(target, [key, value]), key)
        return
    assert isinstance(table, (ast.List, ast.Tuple))
    for value in table.elts:
        if isinstance(target, ast.Name):
            yield Round(loop, {target.id: value}, value)
        elif isinstance(target, ast.Tuple) and isinstance(value, (ast.Tuple, ast.List)):
            yield Round(loop, _bound(target, value.elts), value)


def _bound(target: ast.Tuple, values: list[ast.expr]) -> dict[str, ast.AST]:
    names = [dotted_name(element) for element in target.elts]
    return dict(zip(names, values, strict=False)) if len(names) == len(values) and all(names) else {}


def _calls(file: PythonFile, function: Function) -> Iterator[Round]:
    arguments = function.args
    parameters = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args)]
    defaults: dict[str, ast.AST] = dict(zip(reversed(parameters), reversed(arguments.defaults), strict=False))
    by_keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    defaults |= {parameter.arg: default for parameter, default in by_keyword if default is not None}
    for call in file.find(ast.Call):
        is_spread = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)
        if dotted_name(call.func) != function.name or is_spread:
            continue
        given: dict[str, ast.AST] = dict(zip(parameters, call.args, strict=False))
        given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
        yield Round(call, {**defaults, **given})
