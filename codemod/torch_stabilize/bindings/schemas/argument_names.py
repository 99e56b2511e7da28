"""What to call the arguments of an operator whose schema torch inferred.

Torch named them `_0`, `_1`, so nobody passes them by keyword and any name will do. The best one is what the project
uses already: the written schema of a sibling whose C++ parameter has the same name, else the Python wrapper
(`def register(ptr): return torch.ops.my_ops.register(ptr)`), else the C++ parameter.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from torch_stabilize.bindings.reading.model import Operator, PythonArgument, Statement
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import Selection
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.python_tree import python_tree
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.patterns import word_start
from torch_stabilize.source.signatures import Function
from torch_stabilize.surface.schema import SchemaError, parse_schema

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_HOLDS_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)


def argument_names(
    registry: Registry,
    selection: Selection,
    statement: Statement,
    function: Function,
    operators: Mapping[tuple[str, str], Operator],
) -> tuple[PythonArgument, ...]:
    """A name for each parameter of `function`, "" where the C++ one is the best there is."""
    siblings = _sibling_names(selection, statement.namespace, operators)
    count = len(function.parameters)
    wrapper = python_names(registry.snapshot, registry.layout, statement.namespace, statement.name, count)
    names = [siblings.get(p.name) or (wrapper[i] if wrapper else "") for i, p in enumerate(function.parameters)]
    unique = len(set(filter(None, names))) == len([name for name in names if name])
    return tuple(PythonArgument(name if unique else "") for name in names)


def _sibling_names(
    selection: Selection, namespace: str, operators: Mapping[tuple[str, str], Operator]
) -> dict[str, str]:
    """C++ parameter name to schema name, as the written schemas of the namespace have it without contradiction."""
    found: dict[str, set[str]] = {}
    for moved in selection.moved:
        operator = operators.get((namespace, moved.statement.full_name))
        schema = next((d.schema for d in operator.definitions if d.schema), None) if operator else None
        if schema is None or moved.statement.namespace != namespace or not moved.functions:
            continue
        try:
            arguments = parse_schema(f"f{schema}").arguments
        except SchemaError:
            continue
        parameters = moved.functions[0].function.parameters
        if len(parameters) == len(arguments):
            for parameter, argument in zip(parameters, arguments, strict=True):
                found.setdefault(parameter.name, set()).add(argument.name)
    return {name: min(names) for name, names in found.items() if len(names) == 1}


def python_names(snapshot: Snapshot, layout: Layout, namespace: str, operator: str, arity: int) -> tuple[str, ...]:
    """The argument names of `namespace::operator` in the first wrapper that passes `arity` plain names, or none."""
    if not arity:
        return ()
    called = rf"\s*\.\s*{re.escape(namespace)}\s*\.\s*{re.escape(operator)}\b"
    pattern = re.compile(word_start(b"ops") + called.encode())
    for root in layout.python_roots:
        for path in snapshot.below(root, (".py",)):
            data = snapshot.read(path)
            if operator.encode() not in data:
                continue
            lines = [data.count(b"\n", 0, match.start()) + 1 for match in pattern.finditer(data)]
            for function in _functions(snapshot, path) if lines else ():
                if any(function.lineno <= line <= (function.end_lineno or 0) for line in lines):
                    for names in _passed_on(function, f"ops.{namespace}.{operator}"):
                        if len(names) == arity:
                            return names
    return ()


def _functions(snapshot: Snapshot, path: str) -> list[_Function]:
    """The functions of a Python module, outer ones first; none where it cannot be read."""
    return snapshot.once((_functions, path), lambda: _read_functions(snapshot.read(path)))


def _read_functions(data: bytes) -> list[_Function]:
    tree = python_tree(data)
    waiting: list[ast.AST] = [tree] if tree is not None else []
    for node in waiting:
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, _HOLDS_STATEMENTS)]
    return [node for node in waiting if isinstance(node, _Function)]


def _passed_on(function: _Function, called: str) -> Iterator[tuple[str, ...]]:
    """The names that a function passes on to what it calls by a name with that end: parameters of its own."""
    own = {argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)}
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and _dotted(call.func).endswith(called):
            names = tuple(argument.id for argument in call.args if isinstance(argument, ast.Name))
            if len(names) == len(call.args) and not call.keywords and own.issuperset(names):
                yield names


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
