"""Check schemas without torch: do they parse, do they fit the C++ function, do they say what it writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.reading.model import BlockKind, Operator, Statement
from torch_stabilize.bindings.schemas.faults import schema_faults
from torch_stabilize.bindings.schemas.infer import read_type
from torch_stabilize.bindings.select import diagnostic
from torch_stabilize.model import Diagnostic, Severity
from torch_stabilize.source.conditions import canonical
from torch_stabilize.source.parameters import Parameter
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.uses import Access
from torch_stabilize.surface.schema import Argument, Schema, SchemaError, Type, parse_schema

# What torch lets a schema and a C++ type differ in: a SymInt arrives as an int, a number as either.
_SAME = {"SymInt": "int", "SymBool": "bool", "number": "Scalar", "QScheme": "int"}
_ALIASING = frozenset({"Tensor", "t", "Storage"})


def check_schema(statement: Statement) -> tuple[Schema | None, list[Diagnostic]]:
    """The parsed schema of a definition, and what is wrong with it in itself."""
    if statement.schema is None:
        return None, []
    try:
        schema = parse_schema(statement.full_name + statement.schema)
    except SchemaError as error:
        note = diagnostic(
            codes.BAD_SCHEMA, statement.path, statement.first, f"the schema of {statement.full_name}: {error}",
            severity=Severity.ERROR, subject=statement.full_name,
        )  # fmt: skip
        return None, [note]
    found = [
        diagnostic(
            codes.BAD_SCHEMA,
            statement.path,
            statement.first,
            f"{statement.full_name}: {fault}",
            severity=Severity.ERROR,
            subject=statement.full_name,
        )
        for fault in schema_faults(schema)
    ]
    for name, count in Counter(argument.name for argument in schema.arguments).items():
        if count > 1:
            found.append(
                diagnostic(
                    codes.DUPLICATE_ARGUMENT, statement.path, statement.first,
                    f"{statement.full_name} has {count} arguments called {name}",
                    advice="the C++ function has the right names; nobody can pass the second one by keyword",
                )
            )  # fmt: skip
    for argument in schema.arguments:
        if argument.type.is_written and argument.type.leaf not in _ALIASING:
            found.append(
                diagnostic(
                    codes.WRONG_ALIAS, statement.path, statement.first,
                    f"{statement.full_name}: `{argument}` is marked as written, and only tensors can be",
                    severity=Severity.NOTE,
                )
            )  # fmt: skip
    return schema, found


def check_function(
    statement: Statement, schema: Schema, function: Function, aliases: Mapping[str, str]
) -> list[Diagnostic]:
    """Whether `schema` and the C++ signature agree in number and type."""
    takes, has = len(function.parameters), len(schema.arguments)
    if takes != has and not schema.variadic_arguments:
        return [_mismatch(statement, f"its schema has {has} arguments and {function.qualified} takes {takes}")]
    found = [
        _mismatch(statement, f"its schema has `{argument}` where {function.qualified} takes `{parameter.type_text}`")
        for argument, parameter in zip(schema.arguments, function.parameters, strict=False)
        if not _fits(argument, parameter, aliases)
    ]
    returned = _returned(function.return_type, aliases)
    if returned is not None and returned != len(schema.returns) and not schema.variadic_returns:
        found.append(
            _mismatch(statement, f"its schema returns {len(schema.returns)} values and {function.qualified} {returned}")
        )
    return found


def check_aliases(
    statement: Statement, schema: Schema, function: Function, access: Mapping[str, Access]
) -> list[Diagnostic]:
    """Whether what the schema marks as written is what the function writes, where its text tells for sure."""
    written = [p.name for p in function.parameters if access.get(p.name) is Access.WRITE]
    found = check_effect(statement, schema, written) if written else []
    if found:
        return found
    for argument, parameter in zip(schema.arguments, function.parameters, strict=False):
        seen = access.get(parameter.name, Access.UNKNOWN)
        if seen is Access.WRITE and not argument.type.aliases:
            found.append(
                _alias(
                    statement, f"{function.qualified} writes to `{parameter.name}`, and `{argument}` does not say so"
                )
            )
        elif seen is Access.READ and argument.type.is_written and argument.type.leaf == "Tensor":
            found.append(
                _alias(statement, f"`{argument}` is marked as written, and {function.qualified} only reads it")
            )
    return found


def check_effect(statement: Statement, schema: Schema, unknown: Iterable[str] = ()) -> list[Diagnostic]:
    """Whether an operator that takes tensors and returns nothing says what it writes.

    `unknown` are the tensors that it may write to.
    """
    if schema.returns or schema.variadic_returns or any(one.type.aliases for one in schema.arguments):
        return []
    tensors = [argument.name for argument in schema.arguments if argument.type.leaf == "Tensor"]
    if not tensors:
        return []
    asked = ", ".join(f"`{name}`" for name in unknown) or "its tensors"
    return [
        diagnostic(
            codes.NO_EFFECT, statement.path, statement.first,
            f"{statement.full_name}: `{schema}` returns nothing and marks nothing as written", severity=Severity.ERROR,
            advice=f"see whether it writes to {asked}, and write the schema with that marked",
        )
    ]  # fmt: skip


def check_returns(
    statement: Statement, schema: Schema, function: Function, returned: Iterable[str]
) -> list[Diagnostic]:
    """Whether a schema says so where the function may return one of its arguments: compiled code relies on it."""
    names = [parameter.name for parameter in function.parameters]
    if any(value.type.aliases for value in schema.returns) or not schema.returns:
        return []
    return [
        _alias(
            statement,
            f"{function.qualified} may return `{name}`, and its schema returns a tensor of its own",
            "return a new tensor or nothing: a result that is an argument is wrong under torch.compile",
        )
        for name in returned
        if name in names
    ]


def check_duplicates(operators: Iterable[Operator]) -> list[Diagnostic]:
    """Operators that are defined twice, or implemented twice for a key, in one build and under one condition."""
    found = []
    for operator in operators:
        for first, second in _clashes(operator.definitions):
            view = _python_view(first, second)
            found.append(_twice(operator, view or second, f"is defined twice, the first time in {first.path}", view))
        for first, second in _clashes(operator.implementations):
            key = second.key or "every backend"
            found.append(_twice(operator, second, f"is implemented twice for {key}, the first time in {first.path}"))
    return found


def _clashes(statements: tuple[Statement, ...]) -> Iterable[tuple[Statement, Statement]]:
    for place, second in enumerate(statements):
        for first in statements[:place]:
            # two units that register the same may be alternatives of the build
            same = first.key == second.key and (first.path == second.path or _python_view(first, second) is not None)
            if same and not _exclude(first.conditions, second.conditions):
                yield first, second


def _python_view(first: Statement, second: Statement) -> Statement | None:
    """Which of two statements is of a Python module, where the other registers an operator of that very name."""
    views = [one for one in (first, second) if one.block.kind is BlockKind.PYBIND]
    return views[0] if len(views) == 1 else None


def _exclude(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Whether two condition stacks cannot hold at the same time."""
    opposite = {_negated(canonical(condition)) for condition in first}
    return any(canonical(condition) in opposite for condition in second)


def _negated(condition: str) -> str:
    if condition.startswith("#ifdef "):
        return condition.replace("#ifdef ", "#ifndef ", 1)
    if condition.startswith("#ifndef "):
        return condition.replace("#ifndef ", "#ifdef ", 1)
    expression = condition.removeprefix("#if ")
    if expression.startswith("!(") and expression.endswith(")"):
        return f"#if {expression[2:-1]}"
    return f"#if !({expression})"


def _fits(argument: Argument, parameter: Parameter, aliases: Mapping[str, str]) -> bool:
    kind = read_type(parameter.type_text, aliases)
    return kind is None or _compatible(argument.type.bare, kind)


def _compatible(schema: Type, cpp: Type) -> bool:
    if schema.form == "optional" and cpp.form != "optional":
        # an undefined tensor and an empty list may stand for None
        return schema.leaf == "Tensor" and _compatible(schema.inner[0], cpp)
    if schema.form != cpp.form:
        return False
    if schema.form == "base":
        first, second = _SAME.get(schema.name, schema.name), _SAME.get(cpp.name, cpp.name)
        known_in_schema = schema.name in ("Tensor", "int", "float", "bool", "str", "SymInt", "ScalarType", "Device")
        return first == second or not known_in_schema or {first, second} == {"int", "ScalarType"}
    if schema.form == "list":
        return _compatible(schema.inner[0], cpp.inner[0])
    return len(schema.inner) == len(cpp.inner) and all(map(_compatible, schema.inner, cpp.inner))


def _returned(text: str, aliases: Mapping[str, str]) -> int | None:
    """How many values a function returns, None where its type is not known."""
    if text == "void":
        return 0
    kind = read_type(text, aliases)
    if kind is None:
        return None
    return len(kind.inner) if kind.form == "tuple" else 1


def _mismatch(statement: Statement, message: str) -> Diagnostic:
    return diagnostic(
        codes.SCHEMA_MISMATCH, statement.path, statement.first or statement.span, f"{statement.full_name}: {message}",
        severity=Severity.ERROR,
    )  # fmt: skip


def _alias(statement: Statement, message: str, advice: str = "") -> Diagnostic:
    text = f"{statement.full_name}: {message}"
    return diagnostic(codes.WRONG_ALIAS, statement.path, statement.first, text, advice=advice)


def _twice(operator: Operator, statement: Statement, message: str, view: Statement | None = None) -> Diagnostic:
    """`view` is the statement of a Python module, where the operator is registered besides."""
    name = f"{operator.namespace}::{operator.full_name}"
    advice = ""
    if view is not None:
        called = f"torch.ops.{operator.namespace}.{operator.name}"
        advice = f"take it out of the Python module, call {called} instead, and migrate again"
    return diagnostic(
        codes.DUPLICATE_OPERATOR, statement.path, statement.span, f"{name} {message}",
        severity=Severity.ERROR, advice=advice,
    )  # fmt: skip
