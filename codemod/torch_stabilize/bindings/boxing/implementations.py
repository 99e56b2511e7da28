"""For every implementation that moves: how TORCH_BOX gets its function, with an adapter where it needs one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.boxing.adapters import Adapter, Boxing, boxing_for, listed
from torch_stabilize.bindings.reading.instances import instantiated
from torch_stabilize.bindings.reading.lambdas import lambda_signature, read_lambda
from torch_stabilize.bindings.reading.model import FunctionRef, Statement
from torch_stabilize.bindings.reading.text import decode
from torch_stabilize.bindings.select import Located, Moved, diagnostic
from torch_stabilize.bindings.writing.items import boxed_expression
from torch_stabilize.bindings.writing.translate import stable_declaration
from torch_stabilize.model import Diagnostic, Severity
from torch_stabilize.source.conditions import are_alternatives
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import split_arguments
from torch_stabilize.surface.schema import Schema, SchemaError, parse_schema


class Boxed(NamedTuple):
    """What is in TORCH_BOX(...), the adapter it may need, and what is to be said.

    `kernel` is the operator that it implements where that is not the one of its statement.
    """

    expression: str
    adapter: Adapter | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    function: Located | None = None
    kernel: Schema | None = None


@dataclass
class Boxer:
    """Boxes the implementations of one migration for torch `target`.

    `aliases` are the type aliases that signatures are written with, `documents` where the callees of lambdas are
    declared, `document` has the file at a path. No two adapters get one name.
    """

    aliases: Mapping[str, str]
    target: str
    document: Callable[[str], Document]
    documents: Sequence[Document] = ()
    _taken: set[str] = field(default_factory=set)

    def box(self, moved: Moved, schema: str | None, stable: str = "", kernel: Schema | None = None) -> Boxed:
        """How the function of `moved` is boxed.

        `schema` is the operator's, if one is written; `stable` a lambda in stable form where the rules have seen it;
        `kernel` the operator that it implements in place of its own, and that gives nothing back.
        """
        boxed = self._box(moved, schema, stable, gives=kernel is None)
        return boxed._replace(kernel=kernel)

    def _box(self, moved: Moved, schema: str | None, stable: str, *, gives: bool) -> Boxed:
        statement = moved.statement
        reference = statement.function
        assert reference is not None
        if reference.is_lambda:
            return self._lambda(statement, reference, schema, stable, gives=gives)
        located = pick_overload(reference, moved.functions, statement, schema)
        if not reference.name:
            written = decode(self.document(statement.path).text(reference.span))
            return Boxed(written, None, (_not_a_function(statement, reference),))
        if reference.wrapper and located is None:
            return Boxed(boxed_expression(reference), None, (_not_a_function(statement, reference),))
        if located is None:
            return Boxed(boxed_expression(reference))
        if not moved.in_place:  # at file scope, where no namespace is open
            reference = reference._replace(name=located.function.qualified)
        overloaded = any(_overloads(located, other, self.document) for other in moved.functions)
        located = located._replace(function=instantiated(located.function, reference.template_arguments))
        name = self._free(f"{located.function.name}_boxed")
        call = f"{reference.name}{reference.template_arguments}"
        boxing = boxing_for(
            located.function, self.aliases, target=self.target, adapter_name=name, call=call,
            needs_name=overloaded or bool(reference.cast), gives=gives,
        )  # fmt: skip
        boxed = self._boxed(statement, reference, located, boxing, gives=gives)
        if not reference.wrapper:
            return boxed
        return boxed._replace(diagnostics=(_unwrapped(statement, reference), *boxed.diagnostics))

    def _boxed(
        self, statement: Statement, reference: FunctionRef, located: Located, boxing: Boxing, *, gives: bool
    ) -> Boxed:
        notes = [
            diagnostic(
                codes.UNBOXABLE, statement.path, reference.span, f"{statement.full_name}: {problem}",
                severity=Severity.ERROR, subject=statement.full_name,
                advice="change the function's signature to a type that the stable API passes",
            )
            for problem in boxing.problems
        ]  # fmt: skip
        if boxing.adapter is None:
            return Boxed(boxed_expression(reference), None, tuple(notes), located)
        self._taken.add(boxing.adapter.name)
        why = f": TORCH_BOX does not take {listed(boxing.reasons)}" if boxing.reasons else ", one of several overloads"
        if not gives:
            why = ", which gives nothing back"
        notes.append(
            diagnostic(
                codes.ADAPTER, statement.path, reference.span,
                f"{statement.full_name} is registered through {boxing.adapter.name}{why}",
            )
        )  # fmt: skip
        return Boxed(f"&{boxing.adapter.name}", boxing.adapter, tuple(notes), located)

    def _lambda(
        self, statement: Statement, reference: FunctionRef, schema: str | None, stable: str, *, gives: bool
    ) -> Boxed:
        """A lambda becomes a named function, its body kept, with an adapter where that cannot be boxed as it is."""
        found = read_lambda(stable or reference.text)
        name = self._free(f"{statement.name.strip('_')}{'_' + statement.overload if statement.overload else ''}_impl")
        if found is None or found.captures:
            note = diagnostic(
                codes.UNBOXABLE, statement.path, reference.span,
                f"{statement.full_name}: a lambda that captures cannot be boxed", severity=Severity.ERROR,
                subject=statement.full_name,
                advice="make it a function",
            )  # fmt: skip
            return Boxed(f"&{name}", None, (note,))
        of_schema = _type_returned(schema or statement.schema or "")
        returned = found.returns or ("void" if of_schema == "void" else "auto")
        head = stable_declaration(f"static {returned} {name}({found.parameters});").rstrip().rstrip(";")
        self._taken.add(name)
        unstable = re.search(r"\b(?:torch|at|c10)::(?!stable\b|headeronly\b)\w+|\bTORCH_\w+", found.body)
        severity = Severity.WARNING if unstable else Severity.NOTE
        note = diagnostic(
            codes.ADAPTER, statement.path, reference.span,
            f"{statement.full_name}: its lambda is now the function {name}",
            severity=severity, advice=f"its body still uses {unstable[0]}" if unstable else "",
        )  # fmt: skip
        made = Adapter(name, f"{head} {found.body}")
        function = lambda_signature(reference.text, (), self.documents)
        if function is not None and function.return_type == "auto":
            function = function._replace(return_type=of_schema)
        if function is None or not function.return_type:
            return Boxed(f"&{name}", made, (note,))
        adapter = self._free(f"{name}_boxed")
        boxing = boxing_for(function, self.aliases, target=self.target, adapter_name=adapter, call=name, gives=gives)
        boxed = self._boxed(statement, reference, Located(statement.path, function), boxing, gives=gives)
        if boxed.adapter is None:
            return Boxed(f"&{name}", made, (note, *boxed.diagnostics))
        both = Adapter(boxed.adapter.name, f"{made.text}\n\n{boxed.adapter.text}")
        return Boxed(boxed.expression, both, (note, *boxed.diagnostics))

    def _free(self, name: str) -> str:
        candidate, number = name, 2
        while candidate in self._taken:
            candidate, number = f"{name}{number}", number + 1
        return candidate


def _not_a_function(statement: Statement, reference: FunctionRef) -> Diagnostic:
    return diagnostic(
        codes.UNBOXABLE, statement.path, reference.span,
        f"{statement.full_name}: {reference.text} is no function that TORCH_BOX could name",
        severity=Severity.ERROR, subject=statement.full_name,
        advice="register a function, and box it with TORCH_BOX(&function)",
    )  # fmt: skip


def _unwrapped(statement: Statement, reference: FunctionRef) -> Diagnostic:
    """What is to be looked at where a function was registered through one that changes its types, or more."""
    return diagnostic(
        codes.ADAPTER, statement.path, reference.span,
        f"{statement.full_name} is registered without {reference.wrapper}, which made another function of "
        f"{reference.name}",
        advice=f"see that {reference.wrapper} did no more than convert types",
    )  # fmt: skip


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


def _type_returned(schema: str) -> str:
    """The C++ type that a lambda of this schema may return without saying so: the narrowest, "" where it is not clear.

    An adapter widens what the boxing would get wrong.
    """
    try:
        read = parse_schema(f"f{schema}")  # which may have no name
    except SchemaError:
        return ""
    if read.variadic_returns or len(read.returns) > 1:
        return ""
    known = {"int": "int", "float": "float", "bool": "bool", "Tensor": "at::Tensor"}
    return known.get(str(read.returns[0].type), "") if read.returns else "void"
