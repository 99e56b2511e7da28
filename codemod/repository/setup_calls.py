"""Calls of a setup file that are made more than once: in a loop over values that are written out, or in a function."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator, Mapping

_MOST = 64  # rounds of one loop, calls of one function


def bound_calls(parsed: ast.Module) -> Iterator[ast.Call]:
    """Every call of the file; one in a loop or a function once for each round or call, their values put in."""
    parents: dict[ast.AST, ast.AST] = {}
    calls: list[ast.Call] = []
    waiting: deque[ast.AST] = deque([parsed])
    while waiting:  # as ast.walk does, which would have to be done twice
        node = waiting.popleft()
        if isinstance(node, ast.Call):
            calls.append(node)
        children = tuple(ast.iter_child_nodes(node))
        parents.update(dict.fromkeys(children, node))
        waiting.extend(children)
    by_name: dict[str, list[ast.Call]] = {}
    for call in calls:
        if isinstance(call.func, ast.Name):
            by_name.setdefault(call.func.id, []).append(call)
    for call in calls:
        values = list(_environments(by_name, parents, call))
        yield from (_filled(call, one) for one in values) if values else (call,)


def _environments(
    by_name: Mapping[str, list[ast.Call]], parents: Mapping[ast.AST, ast.AST], node: ast.AST
) -> Iterator[dict[str, ast.expr]]:
    """The values of the names around `node`: of its loop's variables, or of its function's parameters.

    `by_name` are the calls of plain names.
    """
    around = parents.get(node)
    while around is not None:
        if isinstance(around, ast.For) and isinstance(around.iter, ast.Tuple | ast.List | ast.Set):
            yield from (_bound(around.target, value) for value in around.iter.elts[:_MOST])
            return
        if isinstance(around, ast.FunctionDef):
            names = [argument.arg for argument in around.args.args]
            for call in by_name.get(around.name, [])[:_MOST]:
                given = dict(zip(names, call.args, strict=False))
                yield given | {k.arg: k.value for k in call.keywords if k.arg in names}
            return
        around = parents.get(around)


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
