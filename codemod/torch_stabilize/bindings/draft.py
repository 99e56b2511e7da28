"""What the registrations of a group become: items for the stable file, adapters, and what is to be said about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.boxing.adapters import Adapter, listed
from torch_stabilize.bindings.boxing.implementations import Boxed
from torch_stabilize.bindings.effects.returned import may_return
from torch_stabilize.bindings.effects.writes import accesses
from torch_stabilize.bindings.fakes.meta import is_symbolic_meta, suggested_fake, symbolic_fake
from torch_stabilize.bindings.given_back import writing_kernel
from torch_stabilize.bindings.keys import EXPLICIT, IMPLICIT, Keys
from torch_stabilize.bindings.reading.lambdas import StableLambda, lambda_accesses, lambda_signature
from torch_stabilize.bindings.reading.model import Operator, Statement, StatementKind
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.schemas.check import (
    check_aliases,
    check_effect,
    check_function,
    check_returns,
    check_schema,
)
from torch_stabilize.bindings.schemas.finder import Writers
from torch_stabilize.bindings.select import Located, Moved, Selection, diagnostic
from torch_stabilize.bindings.sources import Place, Sources
from torch_stabilize.bindings.tags import stable_tags
from torch_stabilize.bindings.unmoved import report_blocks
from torch_stabilize.bindings.writing.items import Item, definition_item, implementation_items, widened_arguments
from torch_stabilize.bindings.writing.translate import spelled_out
from torch_stabilize.codes import Code
from torch_stabilize.model import Diagnostic, Severity
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.uses import Access
from torch_stabilize.surface.schema import Schema


@dataclass
class Draft(Sources):
    """One run's registrations in stable form. `boxed`, `schemas` and `keys` go by the place of the statement.

    `moved_lambdas` are those that become functions of the stable bindings file.
    """

    items: list[Item] = field(default_factory=list)
    adapters: list[Adapter] = field(default_factory=list)
    boxed: dict[Place, Boxed] = field(default_factory=dict)
    schemas: dict[Place, Schema] = field(default_factory=dict)
    keys: dict[Place, tuple[str, ...]] = field(default_factory=dict)
    unknown: set[Place] = field(default_factory=set)  # definitions whose schema may lack marks of what is written
    diagnostics: list[Diagnostic] = field(default_factory=list)
    moved_lambdas: list[StableLambda] = field(default_factory=list)
    fakes: list[str] = field(
        default_factory=list
    )  # Python for the meta kernels that are not registered in C++ any more
    differentiable: frozenset[str] = frozenset()  # operators whose derivative Python registers
    opaque: frozenset[str] = frozenset()  # operators that call one without a fake kernel
    native_tags: dict[Place, str] = field(default_factory=dict)
    python_tags: list[str] = field(default_factory=list)
    composite: set[Place] = field(default_factory=set)  # those of them that are put together from ops of torch
    reported: set[Statement] = field(default_factory=set)

    def add(self, moved: Moved) -> None:
        """Work out what `moved` becomes."""
        statement = moved.statement
        if statement.kind is StatementKind.DEF:
            self._definition(moved)
        if statement.function is not None and (moved.functions or moved.in_place) and not self._is_fake(moved):
            self._implementation(moved)

    # definitions

    def _definition(self, moved: Moved) -> None:
        statement = moved.statement
        implementing = self._implementing(moved)
        schema, found = check_schema(statement)
        self.diagnostics += found
        if statement.schema is None:
            schema = self._inferred(statement, self._functions(implementing))
            if schema is None:
                return
            self.schemas[statement.path, statement.span] = schema
        elif schema is not None:
            self._check(statement, schema, self._functions([one for one in implementing if not _is_lambda(one)]))
            self._check_lambdas(statement, schema, [one for one in implementing if _is_lambda(one)])
        if statement.tags:
            self._tags(statement)
        for kind in widened_arguments(statement):
            message = f"{statement.full_name}: `{kind}` is now a list, which the stable boxing can pass"
            self.say(codes.WIDENED_SCHEMA, statement, message)
        if not moved.in_place:
            document = self.registry.document(statement.path)
            inferred = schema if statement.schema is None else None
            native = self.native_tags.get((statement.path, statement.span), "")
            whole = self._goes_whole(statement)
            self.items.append(definition_item(document, statement, inferred, native, whole=whole))

    def _tags(self, statement: Statement) -> None:
        """The tags of a definition: `def` takes them, or Python sets them, or they are lost."""
        found = stable_tags(self.registry, statement, self.target)
        if found.native:
            self.native_tags[statement.path, statement.span] = found.native
            return
        if found.python:
            self.python_tags.append(found.python)
        self.say(codes.TAGS, statement, found.message, advice=found.advice)

    @cached_property
    def _places(self) -> Mapping[Place, list[int]]:
        """Which of the statements that move are where."""
        found: dict[Place, list[int]] = {}
        for number, one in enumerate(self.selection.moved):
            found.setdefault((one.statement.path, one.statement.span), []).append(number)
        return found

    def _implementing(self, moved: Moved) -> list[Moved]:
        """The statements that implement what `moved` defines, itself first."""
        operator = self.operators.get((moved.statement.namespace, moved.statement.full_name))
        places = {(s.path, s.span) for s in operator.implementations} if operator else set()
        numbers = sorted(number for place in places for number in self._places.get(place, ()))
        others = [self.selection.moved[number] for number in numbers]
        return [moved, *(one for one in others if one is not moved)]

    def _functions(self, implementing: Sequence[Moved]) -> tuple[Located, ...]:
        """The functions of several statements, each once; for a lambda those that it calls."""
        return tuple({(f.path, f.function.span): f for one in implementing for f in one.functions}.values())

    def _inferred(self, statement: Statement, functions: Sequence[Located]) -> Schema | None:
        """The schema of a `def("name", &fn)`, from the function it registers; what is to be said of it is said."""
        found = self.schema_finder.infer(statement, functions)
        if found.schema is None:
            advice = 'write the schema: m.def("name(Tensor x) -> Tensor")'
            self.say(codes.NO_SCHEMA, statement, f"{statement.full_name}: {found.reason}", Severity.ERROR, advice)
            return None
        if found.unknown:
            self.unknown.add((statement.path, statement.span))
        advice = "check its names, its defaults and what it marks as written" + (
            f"; whether it writes to {listed([f'`{name}`' for name in found.unknown])} is not known"
            if found.unknown
            else ""
        )
        self.say(codes.INFERRED_SCHEMA, statement, f"inferred `{found.schema}`", Severity.WARNING, advice)
        self.diagnostics += check_effect(statement, found.schema, found.unknown)
        return found.schema

    def _accesses(self, located: Located) -> dict[str, Access]:
        return accesses(self.registry.document(located.path), located.function, self.program)

    def _check(self, statement: Statement, schema: Schema, functions: Sequence[Located]) -> None:
        """The schema against each function; of several of one name and file, it is enough that one fits."""
        seen: set[tuple[str, str]] = set()
        for located in functions:
            key = (located.path, located.function.qualified)
            same = [f for f in functions if (f.path, f.function.qualified) == key]
            complaints = [check_function(statement, schema, f.function, self.aliases) for f in same]
            if key in seen:
                continue
            seen.add(key)
            if all(complaints):
                self.diagnostics += complaints[0]
            elif len(same) == 1:
                function = located.function
                self.diagnostics += check_aliases(statement, schema, function, self._accesses(located))
                returned = may_return(self.registry.document(located.path), function)
                self.diagnostics += check_returns(statement, schema, function, returned)

    def _check_lambdas(self, statement: Statement, schema: Schema, implementing: Sequence[Moved]) -> None:
        """The schema against each lambda."""
        for moved in implementing:
            text = moved.statement.function.text if moved.statement.function is not None else ""
            function = lambda_signature(text, moved.functions, self.program.documents)
            if function is not None:
                function = function._replace(name="its lambda", namespace=())
                self.diagnostics += check_function(statement, schema, function, self.aliases) or check_aliases(
                    statement, schema, function, lambda_accesses(text, self.program)
                )

    # implementations

    def _implementation(self, moved: Moved) -> None:
        statement = moved.statement
        operator = self.operators.get((statement.namespace, statement.full_name))
        written_schema = next((d.schema for d in operator.definitions if d.schema), None) if operator else None
        stable = self.lambdas.get((statement.path, statement.function.span)) if statement.function else None
        before, moved = moved, self.widening.widened(moved)
        if moved is not before:
            self._say_widened(before, moved)
        kernel = self._kernel(moved, operator)
        result = self.boxer.box(moved, written_schema, stable.text if stable is not None else "", kernel)
        if stable is not None and not moved.in_place:
            self.diagnostics += stable.diagnostics
            self.moved_lambdas.append(stable)
        if result.adapter is not None:
            conditions = statement.inner_conditions if moved.in_place else statement.conditions
            text = spelled_out(result.adapter.text, self.visible)
            result = result._replace(adapter=result.adapter._replace(conditions=conditions, text=text))
        self.boxed[statement.path, statement.span] = result
        self.diagnostics += result.diagnostics
        if result.adapter is not None and not moved.in_place:
            self.adapters.append(result.adapter)
        keys = self._chosen_keys(moved, operator, result)
        self._say_of_key(moved, operator, keys)
        if not moved.in_place:
            document = self.registry.document(statement.path)
            whole = self._goes_whole(statement)
            self.items += implementation_items(document, statement, result.expression, keys.keys, kernel, whole=whole)

    def _kernel(self, moved: Moved, operator: Operator | None) -> Schema | None:
        """The operator that a function which gives back what it writes to implements in place of its own."""
        statement = moved.statement
        schema = self.schemas.get((statement.path, statement.span))
        kernel = writing_kernel(self.registry, statement, schema) if schema is not None else None
        located = self.schema_finder.registered(statement, moved.functions) if kernel is not None else None
        if kernel is None or IMPLICIT in self.key_finder.find(moved, located, schema, operator).keys:
            return None
        message = (
            f"{statement.full_name} gives back what it writes to: it calls {kernel.name}, which gives nothing back"
        )
        self.say(codes.GIVEN_BACK, statement, message, Severity.NOTE)
        return kernel

    def _is_fake(self, moved: Moved) -> bool:
        """Whether a meta kernel over symbolic sizes becomes a fake kernel in Python, where they stay symbolic."""
        statement = moved.statement
        operator = self.operators.get((statement.namespace, statement.full_name))
        if operator is None or not is_symbolic_meta(moved):
            return False
        schema = self.schema_of(statement, operator)
        fake = symbolic_fake(self.registry, moved, schema) if schema is not None else ""
        if not fake:
            message = f"{statement.full_name} has a meta kernel over SymInt, which is a plain int in the stable API"
            stub = self._stub(moved, operator)
            self.say(codes.META_KERNEL, statement, message, Severity.ERROR, f"in its place, write in Python:\n{stub}")
            return False
        self.fakes.append(fake)
        message = f"the meta kernel of {statement.full_name} is a fake kernel in Python now: its sizes stay symbolic"
        advice = f"{moved.functions[0].function.qualified} is not used any more"
        self.say(codes.META_KERNEL, statement, message, advice=advice)
        return True

    def _say_widened(self, before: Moved, moved: Moved) -> None:
        function, old = moved.functions[0].function, before.functions[0].function
        pairs = zip(function.parameters, old.parameters, strict=True)
        wide = [f"`{one.type_text} {one.name}`" for one, other in pairs if one.type_text != other.type_text]
        message = f"{function.qualified} takes {listed(wide)} now"
        advice = "only units of the group call it, and its argument types do not change"
        self.say(codes.WIDENED, moved.statement, message, Severity.NOTE, advice)

    def _chosen_keys(self, moved: Moved, operator: Operator | None, result: Boxed) -> Keys:
        """The keys that `moved` is registered under, kept for those who write it."""
        statement = moved.statement
        schema = self.schema_of(statement, operator)
        located = result.function or next(iter(moved.functions), None)
        keys = self.key_finder.find(moved, located, schema, operator)
        if f"{statement.namespace}::{statement.full_name}" in self.differentiable and keys.keys == (IMPLICIT,):
            keys = keys._replace(keys=(EXPLICIT,), reason="its derivative is registered, and not that of its body")
            self.composite.add((statement.path, statement.span))
        if f"{statement.namespace}::{statement.full_name}" in self.opaque and keys.keys == (IMPLICIT,):
            keys = keys._replace(keys=(EXPLICIT,), reason="tracing cannot see into what it calls")
        self.keys[statement.path, statement.span] = keys.keys
        return keys

    def schema_of(self, statement: Statement, operator: Operator | None) -> Schema | None:
        """The schema of the operator that `statement` implements, written or inferred."""
        definition = next((d for d in operator.definitions if d.schema), None) if operator else None
        return check_schema(definition)[0] if definition else self.schemas.get((statement.path, statement.span))

    def _say_of_key(self, moved: Moved, operator: Operator | None, keys: Keys) -> None:
        statement = moved.statement
        if keys.reason:
            message = f"{statement.full_name} had no dispatch key and gets {listed(keys.keys)}: {keys.reason}"
            advice = "" if keys.is_sure else "not all that it calls was found: check for which devices it is"
            self.say(codes.CHOSEN_KEY, statement, message, Severity.NOTE if keys.is_sure else Severity.WARNING, advice)
        if statement.key == "Meta":
            message = f"{statement.full_name} has a meta kernel in C++; fake tensors want a fake kernel in Python"
            self.say(codes.META_KERNEL, statement, message, advice=self._stub(moved, operator))
        if statement.key.startswith("Autograd") and f"{statement.namespace}::{statement.full_name}" not in self.writers:
            message = f"{statement.full_name} has an autograd kernel in C++, and torch::autograd has no stable form"
            self.say(codes.NO_STABLE_FORM, statement, message, advice="write torch.library.register_autograd in Python")

    def _stub(self, moved: Moved, operator: Operator | None) -> str:
        for definition in operator.definitions if operator else ():
            schema = check_schema(definition)[0] or self.schemas.get((definition.path, definition.span))
            if schema is not None:
                return suggested_fake(self.registry, moved, schema)
        return "write torch.library.register_fake in Python"

    # helpers

    def _goes_whole(self, statement: Statement) -> bool:
        return (statement.path, statement.block.span) in self.whole

    def say(
        self, code: Code, statement: Statement, message: str, severity: Severity = Severity.WARNING, advice: str = ""
    ) -> None:
        """Add a diagnostic at `statement`."""
        span = statement.first if len(statement.first) and statement.kind is StatementKind.DEF else statement.span
        subject = statement.full_name
        self.diagnostics.append(
            diagnostic(code, statement.path, span, message, severity=severity, advice=advice, subject=subject)
        )


def _is_lambda(moved: Moved) -> bool:
    return moved.statement.function is not None and moved.statement.function.is_lambda


def make_draft(
    registry: Registry,
    group: Group,
    selection: Selection,
    target: str,
    lambdas: Mapping[Place, StableLambda],
    differentiable: frozenset[str] = frozenset(),
    opaque: frozenset[str] = frozenset(),
    writers: Writers | None = None,
) -> Draft:
    """The registrations of `selection` in stable form, for torch `target` and newer.

    `lambdas` are registered lambdas that the rules have rewritten, `differentiable` the operators ("ns::f") whose
    derivative Python registers: under CompositeImplicitAutograd nobody would call it. `opaque` are operators that call
    such a one which has no fake kernel: torch.compile breaks its graph at them. `writers`: the parameters that
    operators write to through others that the dispatcher calls.
    """
    draft = Draft(
        registry, group, selection, target, lambdas, writers or {}, differentiable=differentiable, opaque=opaque
    )
    for moved in selection.moved:
        draft.add(moved)
    report_blocks(draft)
    return draft
