"""For every implementation that moves: how TORCH_BOX gets its function, with an adapter where it needs one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from codemod.bindings import codes
from codemod.bindings.boxing import Adapter, Boxing, boxing_for, listed
from codemod.bindings.items import boxed_expression
from codemod.bindings.model import FunctionRef, Statement
from codemod.bindings.schema import SchemaError, parse_schema
from codemod.bindings.select import Located, Moved, diagnostic
from codemod.bindings.translate import stable_declaration
from codemod.model import Diagnostic, Severity
from codemod.source.brackets import closing_angle
from codemod.source.conditions import are_alternatives
from codemod.source.document import Document
from codemod.source.signatures import Function, read_signatures
from codemod.source.types import split_arguments

_LAMBDA = re.compile(r"\[(?P<captures>[^\]]*)\]\s*(?P<rest>.*)$", re.DOTALL)


@dataclass(frozen=True)
class Boxed:
    """What stands in TORCH_BOX(...), the adapter it may need, and what is to be said."""

    expression: str
    adapter: Adapter | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    function: Located | None = None


def box(
    moved: Moved,
    aliases: Mapping[str, str],
    taken: set[str],
    schema: str | None,
    target: str,
    document: Callable[[str], Document],
) -> Boxed:
    """How the function of `moved` is boxed for torch `target`.

    `taken` are names of adapters that are used up; the new one is added. `schema` is the operator's, if one is written.
    `document` has the file at a path.
    """  # fmt: skip
    statement = moved.statement
    reference = statement.function
    assert reference is not None
    if reference.is_lambda:
        return _lambda(statement, reference, taken, schema)
    located = pick_overload(reference, moved.functions, statement, schema)
    if located is None:
        return Boxed(boxed_expression(reference))
    if not moved.in_place:  # at file scope, where no namespace is open
        reference = replace(reference, name=located.function.qualified)
    overloaded = any(_overloads(located, other, document) for other in moved.functions)
    name = _free(f"{located.function.name}_boxed", taken)
    call = f"{reference.name}{reference.template_arguments}"
    boxing = boxing_for(
        located.function, aliases, target=target, adapter_name=name, call=call,
        needs_name=overloaded or bool(reference.cast),
    )  # fmt: skip
    return _boxed(statement, reference, located, boxing, taken)


def _boxed(statement: Statement, reference: FunctionRef, located: Located, boxing: Boxing, taken: set[str]) -> Boxed:
    notes = [
        diagnostic(
            codes.UNBOXABLE, statement.path, reference.span, f"{statement.full_name}: {problem}",
            severity=Severity.ERROR,
            advice="change the function's signature to a type that the stable API passes",
        )
        for problem in boxing.problems
    ]  # fmt: skip
    if boxing.adapter is None:
        return Boxed(boxed_expression(reference), None, tuple(notes), located)
    taken.add(boxing.adapter.name)
    why = f": TORCH_BOX does not take {listed(boxing.reasons)}" if boxing.reasons else ", one of several overloads"
    notes.append(
        diagnostic(
            codes.ADAPTER, statement.path, reference.span,
            f"{statement.full_name} is registered through {boxing.adapter.name}{why}",
        )
    )  # fmt: skip
    return Boxed(f"&{boxing.adapter.name}", boxing.adapter, tuple(notes), located)


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}{number}", number + 1
    return candidate


def pick_overload(
    reference: FunctionRef, functions: Sequence[Located], statement: Statement, schema: str | None
) -> Located | None:
    """The definition that is meant: the one with the parameters of the cast, or with as many as the schema has."""
    if len(functions) < 2:
        return functions[0] if functions else None
    if reference.cast:
        inside = re.search(r"\(\s*\*?\s*\)\s*\((?P<parameters>.*)\)", reference.cast, re.DOTALL)
        wanted = [_squeezed(part) for part in split_arguments(inside["parameters"] if inside else reference.cast)]
        for located in functions:
            if _parameter_types(located.function) == wanted:
                return located
    text = statement.schema or schema
    if text:
        try:
            arity = len(parse_schema(f"f{text}").arguments)
        except SchemaError:
            return functions[0]
        return next((f for f in functions if len(f.function.parameters) == arity), functions[0])
    return functions[0]


def _overloads(located: Located, other: Located, document: Callable[[str], Document]) -> bool:
    """Whether both are compiled, under one name and with different parameters."""
    one, two = located.function, other.function
    if one.qualified != two.qualified or _parameter_types(one) == _parameter_types(two):
        return False
    return located.path != other.path or not are_alternatives(document(located.path), one.span.start, two.span.start)


def _parameter_types(function: Function) -> list[str]:
    return [_squeezed(parameter.type_text) for parameter in function.parameters]


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _lambda(statement: Statement, reference: FunctionRef, taken: set[str], schema: str | None) -> Boxed:
    """A lambda becomes a named function; its body is kept."""
    match = _LAMBDA.match(reference.text)
    name = _free(f"{statement.name.strip('_')}{'_' + statement.overload if statement.overload else ''}_impl", taken)
    if match is None or match["captures"].strip():
        note = diagnostic(
            codes.UNBOXABLE, statement.path, reference.span,
            f"{statement.full_name}: a lambda that captures cannot be boxed", severity=Severity.ERROR,
            advice="make it a function",
        )  # fmt: skip
        return Boxed(f"&{name}", None, (note,))
    parameters, returns, body = _lambda_parts(match["rest"])
    text = schema or statement.schema or ""
    returned = returns or ("void" if re.search(r"->\s*\(\s*\)\s*$", text) else "auto")
    head = stable_declaration(f"static {returned} {name}({parameters});").rstrip().rstrip(";")
    taken.add(name)
    unstable = re.search(r"\b(?:torch|at|c10)::(?!stable\b|headeronly\b)\w+|\bTORCH_\w+", body)
    severity = Severity.WARNING if unstable else Severity.NOTE
    note = diagnostic(
        codes.ADAPTER, statement.path, reference.span, f"{statement.full_name}: its lambda is now the function {name}",
        severity=severity, advice=f"its body still uses {unstable[0]}" if unstable else "",
    )  # fmt: skip
    return Boxed(f"&{name}", Adapter(name, f"{head} {body}"), (note,))


def lambda_signature(text: str, callees: Sequence[Located]) -> Function | None:
    """A lambda's parameters and return type as those of a function; its return type may be that of what it calls."""
    match = _LAMBDA.match(text)
    if match is None:
        return None
    parameters, returns, body = _lambda_parts(match["rest"])
    if not returns:
        called = re.fullmatch(r"\{\s*return\s+([\w:]+)\s*\(.*\)\s*;\s*\}", body, re.DOTALL)
        known = [f.function.return_type for f in callees if called and f.function.answers_to(called[1])]
        returns = known[0] if known else "auto" if re.search(r"\breturn\b\s*[^;\s]", body) else "void"
    return next(iter(read_signatures(Document("lambda.h", f"{returns} f({parameters});".encode()))), None)


def _lambda_parts(text: str) -> tuple[str, str, str]:
    """Parameters, return type and body of what follows a lambda's captures."""
    if text.startswith("<"):
        text = text[closing_angle(text.encode(), 0) + 1 :].lstrip()
    parameters = ""
    if text.startswith("("):
        depth = 0
        for index, character in enumerate(text):
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth == 0:
                parameters, text = text[1:index], text[index + 1 :].strip()
                break
    head, brace, rest = text.partition("{")
    returns = re.sub(r"\b(?:mutable|noexcept|constexpr)\b", "", head).strip().removeprefix("->").strip()
    return parameters, returns, brace + rest
