"""Calls of a setup file that are made more than once: in a loop over values that are written out, or in a function."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

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
        if isinstance(around, ast.For) and isinstance(around.iter, ast.Tuple | ast.List | ast.Set):
            yield from (_bound(around.target, value) for value in around.iter.elts[:_MOST])
            return
        if isinstance(around, ast.FunctionDef):
            names = [argument.arg for argument in around.args.args]
            for call in by_name.get(around.name, [])[:_MOST]:
                given = dict(zip(names, call.args, strict=False))
                yield given | {k.arg: k.value for k in call.keywords if k.arg in names}
            return


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
