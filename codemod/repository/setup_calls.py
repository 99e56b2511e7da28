"""Calls of a setup file that are made more than once: in a loop over values that are written out, or in a function."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence

from codemod.repository.setup_tree import SetupTree

_MOST = 64  # rounds of one loop, calls of one function


def bound_calls(tree: SetupTree, wanted: Callable[[ast.Call], bool]) -> Iterator[ast.Call]:
    """The calls of a file that are `wanted`; one in a loop or a function once for each round or call of that.

    The values of the round or call are put in. A call of a name that has such a value is looked at with it.
    """
    calls = tree.find(ast.Call)
    by_name: dict[str, list[ast.Call]] = {}
    for call in calls:
        if isinstance(call.func, ast.Name):
            by_name.setdefault(call.func.id, []).append(call)
    for call in calls:
        name, is_wanted = call.func.id if isinstance(call.func, ast.Name) else None, wanted(call)
        if name is None and not is_wanted:
            continue
        values = list(_environments(by_name, tree, call))
        filled = [_filled(call, one) for one in values if is_wanted or name in one]
        yield from (one for one in filled if wanted(one))
        if is_wanted and not values:
            yield call


def _environments(
    by_name: Mapping[str, list[ast.Call]], tree: SetupTree, node: ast.AST
) -> Iterator[dict[str, ast.expr]]:
    """The values of the names around `node`: of its loop's variables, or of its function's parameters.

    `by_name` are the calls of plain names.
    """
    for around in tree.around(node):
        if isinstance(around, (ast.For, ast.ListComp)):
            loop = around if isinstance(around, ast.For) else around.generators[0]
            table = _table(tree, loop.iter)
            if table is not None:
                yield from (_bound(loop.target, value) for value in table[:_MOST])
                return
        if isinstance(around, ast.FunctionDef):
            yield from (_given(around.args, call) for call in by_name.get(around.name, [])[:_MOST])
            return


def _table(tree: SetupTree, node: ast.expr) -> Sequence[ast.expr] | None:
    """What a loop over `node` goes through: it is written there, or is the one value of a name."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "items":
        held = _value(tree, node.func.value)
        if not isinstance(held, ast.Dict):
            return None
        pairs = zip(held.keys, held.values, strict=True)
        return [ast.Tuple([key, value], ast.Load()) for key, value in pairs if key is not None]
    held = _value(tree, node)
    return held.elts if isinstance(held, (ast.Tuple, ast.List, ast.Set)) else None


def _value(tree: SetupTree, node: ast.expr) -> ast.expr:
    values = tree.assigned.get(node.id, ()) if isinstance(node, ast.Name) else ()
    return values[0] if len(values) == 1 else node


def _given(parameters: ast.arguments, call: ast.Call) -> dict[str, ast.expr]:
    """The values that a call gives to a function's parameters, defaults for those it leaves out."""
    by_place = [*parameters.posonlyargs, *parameters.args]
    names = {argument.arg for argument in (*by_place, *parameters.kwonlyargs)}
    first = len(by_place) - len(parameters.defaults)
    given = {a.arg: value for a, value in zip(by_place[first:], parameters.defaults, strict=True)}
    given |= {a.arg: v for a, v in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True) if v is not None}
    given |= {a.arg: value for a, value in zip(by_place, call.args, strict=False)}
    return given | {k.arg: k.value for k in call.keywords if k.arg in names}


def _bound(target: ast.expr, value: ast.expr) -> dict[str, ast.expr]:
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple | ast.List):
        pairs = zip(target.elts, value.elts, strict=False)
        return {name.id: part for name, part in pairs if isinstance(name, ast.Name)}
    return {}


def _filled(call: ast.Call, values: Mapping[str, ast.expr]) -> ast.Call:
    """`call` with names replaced by their values, and strings that are put together of such written as one."""

    class Filled(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return values.get(node.id, node)

        def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
            parts = [self.visit(p.value) if isinstance(p, ast.FormattedValue) else p for p in node.values]
            if all(isinstance(part, ast.Constant) for part in parts):
                return ast.Constant("".join(str(part.value) for part in parts if isinstance(part, ast.Constant)))
            return node

    filled = Filled().visit(ast.parse(ast.unparse(call), mode="eval").body)
    assert isinstance(filled, ast.Call)
    return ast.copy_location(filled, call)
