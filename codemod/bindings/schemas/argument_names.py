"""What to call the arguments of an operator whose schema torch inferred.

Torch named them `_0`, `_1`, so nobody passes them by keyword and any name will do. The best one is what the project
uses already: the written schema of a sibling whose C++ parameter has the same name, else the Python wrapper
(`def register(ptr): return torch.ops.my_ops.register(ptr)`), else the C++ parameter.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from codemod.bindings.reading.model import Operator, PythonArgument, Statement
from codemod.bindings.reading.registry import Registry
from codemod.bindings.schemas.schema import SchemaError, parse_schema
from codemod.bindings.select import Selection
from codemod.repository.layout import Layout
from codemod.repository.snapshot import Snapshot
from codemod.source.signatures import Function


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
    pattern = re.compile(rf"\bops\s*\.\s*{re.escape(namespace)}\s*\.\s*{re.escape(operator)}\b".encode())
    for root in layout.python_roots:
        for path in snapshot.below(root, (".py",)):
            data = snapshot.read(path)
            if operator.encode() in data and pattern.search(data):
                for names in _wrappers(snapshot, path).get((namespace, operator), ()):
                    if len(names) == arity:
                        return names
    return ()


def _wrappers(snapshot: Snapshot, path: str) -> Mapping[tuple[str, str], Sequence[tuple[str, ...]]]:
    """By namespace and operator the names that each function of a module passes on: parameters of its own."""
    return snapshot.once((_wrappers, path), lambda: _read_wrappers(snapshot.read(path)))


def _read_wrappers(data: bytes) -> dict[tuple[str, str], list[tuple[str, ...]]]:
    found: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    try:
        module = ast.parse(data)
    except (SyntaxError, ValueError):
        return found
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        own = {
            argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
        }
        for call in ast.walk(function):
            if not isinstance(call, ast.Call) or (called := _operator(call.func)) is None:
                continue
            names = tuple(argument.id for argument in call.args if isinstance(argument, ast.Name))
            if len(names) == len(call.args) and not call.keywords and own.issuperset(names):
                found.setdefault(called, []).append(names)
    return found


def _operator(called: ast.expr) -> tuple[str, str] | None:
    """Namespace and name of `torch.ops.my_ops.relu`, None for another function."""
    *_, ops, namespace, name = ("", "", *_dotted(called).split("."))
    return (namespace, name) if ops.endswith("ops") else None


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
