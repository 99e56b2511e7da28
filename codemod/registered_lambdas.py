"""Lambdas that are registered as implementations, in stable form: the bindings write them as functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from codemod.bindings.reading.lambdas import StableLambda
from codemod.bindings.reading.read import lambda_spans, registration_spans
from codemod.bindings.reading.registry import Registry
from codemod.helper_files import headers_of
from codemod.model import Span
from codemod.project import GroupProject
from codemod.repository.layout import Group
from codemod.rules.context import Context
from codemod.rules.engine import Rewritten, rewrite_document
from codemod.source.document import Document
from codemod.source.edits import apply
from codemod.source.function_index import FunctionIndex


class RegisteredLambdas(NamedTuple):
    """By path and span; `roles` are the helpers that lambdas from outside of the group use."""

    stable: Mapping[tuple[str, Span], StableLambda]
    roles: frozenset[str] = frozenset()


def registered_lambdas(
    registry: Registry, group: Group, made: GroupProject, rewritten: Mapping[str, Rewritten]
) -> RegisteredLambdas:
    """The lambdas in the group's files, as `rewritten`, and those in legacy bindings that call its functions."""
    found = {
        (path, span): StableLambda(_text(made.documents[path], span, one))
        for path, one in rewritten.items()
        for span in lambda_spans(made.documents[path])
    }
    roles: set[str] = set()
    for path, span in _outside(registry, group, made):
        document = registry.document(path)
        one = rewrite_document(Context(made.project, document), registration_spans(document), only=span)
        found[path, span] = StableLambda(
            _text(document, span, one),
            one.includes,
            headers_of(one.helpers, made, registry.layout),
            tuple(replace(diagnostic, path=path) for diagnostic in one.diagnostics),
        )
        roles |= one.helpers
    return RegisteredLambdas(found, frozenset(roles))


def _outside(registry: Registry, group: Group, made: GroupProject) -> Iterator[tuple[str, Span]]:
    """The lambdas in bindings that stay which call what the group defines."""
    files = (*group.units, *group.moving_headers)
    functions = FunctionIndex([made.documents[path] for path in files])

    def is_ours(call: str) -> bool:
        return any(function.is_definition for _, function in functions.named(call.rpartition("::")[2]))

    for path in registry.layout.legacy_bindings:
        if path in files or path not in registry.bindings:
            continue
        for statement in registry.bindings[path].statements:
            function = statement.function
            if function is not None and any(map(is_ours, function.calls)):
                yield path, function.span


def _text(document: Document, span: Span, one: Rewritten) -> str:
    """What the rules make of the bytes in `span`."""
    after = apply(document.data, [edit for edit in one.edits if span.contains(edit.span)])
    end = len(after) - (len(document.data) - span.end)
    return after[span.start : end].decode("utf-8", "replace")
