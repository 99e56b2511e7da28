"""The schemas of registrations that leave theirs to torch or to pybind: from the function, with what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch_stabilize.bindings.boxing.implementations import pick_overload
from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.bindings.effects.returned import Callee, returned_arguments
from torch_stabilize.bindings.effects.writes import accesses, written
from torch_stabilize.bindings.reading.instances import instantiated
from torch_stabilize.bindings.reading.lambdas import lambda_accesses, lambda_signature, read_lambda
from torch_stabilize.bindings.reading.model import Operator, Statement
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.schemas.argument_names import argument_names
from torch_stabilize.bindings.schemas.infer import infer_schema
from torch_stabilize.bindings.schemas.mutated import mutated_arguments
from torch_stabilize.bindings.select import Located, Selection
from torch_stabilize.bindings.writing.legacy_declarations import find_declarations
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.signatures import Function, read_signatures
from torch_stabilize.source.types import parse_type
from torch_stabilize.source.uses import Access
from torch_stabilize.surface.schema import Schema

# By operator ("ns::f") the parameters that it writes to through another that the dispatcher calls; None: not known.
Writers = Mapping[str, frozenset[str] | None]


class Inferred(NamedTuple):
    """A schema, or the reason why there is none; `unknown` are the tensors of which it is not known who writes them."""

    schema: Schema | None
    reason: str = ""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class SchemaFinder:
    """Infers schemas for the registrations of one migration."""

    registry: Registry
    group: Group
    selection: Selection
    program: Program
    aliases: Mapping[str, str]
    operators: Mapping[tuple[str, str], Operator]
    writers: Writers = field(default_factory=dict)

    def infer(self, statement: Statement, functions: Sequence[Located]) -> Inferred:
        """The schema of `statement`, which registers one of `functions`, or a lambda that calls them."""
        located = self.registered(statement, functions)
        if located is None:
            return Inferred(None, self._where(statement))
        function = located.function
        reference = statement.function
        if reference is not None and reference.is_lambda:
            access = lambda_accesses(reference.text, self.program)
        else:
            access = accesses(self.registry.document(located.path), function, self.program)
        body = self.body(statement, located)
        access = {**access, **self._through_others(statement, access)}
        access = {**access, **self._declared(statement, function, access)}
        kind = parse_type(function.return_type)
        count = len(kind.arguments) if kind.name in ("tuple", "pair") else 1
        schema, reason = infer_schema(
            statement.name, statement.overload, function, self.aliases,
            written=written(access.items(), function),
            returned=returned_arguments(body, access.keys(), count, self._called),
            defaults=self._declared_defaults(located),
            python_arguments=statement.arguments
            or argument_names(self.registry, self.selection, statement, function, self.operators),
        )  # fmt: skip
        return Inferred(schema, reason, tuple(name for name, seen in access.items() if seen is Access.UNKNOWN))

    def _through_others(self, statement: Statement, access: Mapping[str, Access]) -> dict[str, Access]:
        """What is written by an operator that the function calls through the dispatcher."""
        names = self.writers.get(f"{statement.namespace}::{statement.full_name}", frozenset())
        if names is None:
            return {name: Access.UNKNOWN for name, seen in access.items() if seen is Access.READ}
        return {name: Access.WRITE for name in access if name in names}

    def _called(self, name: str) -> Callee | None:
        """The one function of the program with a name: its parameters and its body."""
        found = [one for one in self.program.functions.named(name) if one[1].is_definition]
        if len(found) != 1:
            return None
        document, function = found[0]
        body = document.code[function.body.start : function.body.end] if function.body else b""
        return Callee(tuple(parameter.name for parameter in function.parameters), body)

    def _declared(self, statement: Statement, function: Function, access: Mapping[str, Access]) -> dict[str, Access]:
        """What a custom op of the repository declares, for tensors of which the text does not tell."""
        names = [parameter.name for parameter in function.parameters]
        marks = mutated_arguments(self.registry.snapshot, self.registry.layout, statement.name, len(names))
        return {
            name: Access.WRITE if is_written else Access.READ
            for name, is_written in zip(names, marks, strict=False)
            if access.get(name) is Access.UNKNOWN
        }

    def _where(self, statement: Statement) -> str:
        """Why the function that `statement` registers is not at hand."""
        name = statement.function.name if statement.function else ""
        for path in self.registry.sources if name else ():
            if name.rpartition("::")[2].encode() in self.registry.snapshot.read(path) and any(
                f.is_definition and f.answers_to(name) for f in read_signatures(self.registry.document(path))
            ):
                return f"the function it registers is defined in {path}, which is not migrated: name that file too"
        return "the function it registers was not found"

    def body(self, statement: Statement, located: Located) -> bytes:
        """The body of what `statement` registers, comments and literals blanked; empty where it is not at hand."""
        reference, span = statement.function, located.function.body
        if reference is not None and reference.is_lambda:
            parts = read_lambda(reference.text)
            return parts.body.encode() if parts else b""
        return self.registry.document(located.path).code[span.start : span.end] if span else b""

    def registered(self, statement: Statement, functions: Sequence[Located]) -> Located | None:
        """The one function that a statement without a schema registers."""
        reference = statement.function
        if reference is not None and reference.is_lambda:
            function = lambda_signature(reference.text, functions, self.program.documents)
            return Located(statement.path, function) if function else None
        if reference is not None and functions:
            found = pick_overload(reference, functions, statement, None)
            if found is not None:
                return found._replace(function=instantiated(found.function, reference.template_arguments))
        return functions[0] if functions else None

    def _declared_defaults(self, located: Located) -> dict[str, str]:
        """Defaults that only the declaration has, by the definition's parameter names."""
        found: dict[str, str] = {}
        for declarations in find_declarations(self.registry, [located], self.group).values():
            for declaration in declarations:
                pairs = zip(located.function.parameters, declaration.function.parameters, strict=False)
                found |= {defined.name: declared.default for defined, declared in pairs if declared.default}
        return found
