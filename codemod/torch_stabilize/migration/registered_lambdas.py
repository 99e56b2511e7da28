"""Lambdas that are registered as implementations, in stable form: the bindings write them as functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from torch_stabilize.bindings.reading.lambdas import StableLambda
from torch_stabilize.bindings.reading.read import lambda_spans, registration_spans
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.migration.helper_files import headers_of
from torch_stabilize.migration.project import GroupProject
from torch_stabilize.model import Span
from torch_stabilize.repository.layout import Group
from torch_stabilize.rules.context import Context
from torch_stabilize.rules.engine import Rewritten, rewrite_document
from torch_stabilize.source.document import Document
from torch_stabilize.source.edits import apply
from torch_stabilize.source.function_index import FunctionIndex


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
    ours = FunctionIndex([made.documents[path] for path in (*group.units, *group.moving_headers)])
    for path, span in _outside(registry, group, ours):
        document = registry.document(path)
        one = rewrite_document(Context(made.project, document), registration_spans(document), only=span)
        found[path, span] = StableLambda(
            _qualified(_text(document, span, one), ours),
            one.includes,
            headers_of(one.helpers, made, registry.layout),
            tuple(replace(diagnostic, path=path) for diagnostic in one.diagnostics),
        )
        roles |= one.helpers
    return RegisteredLambdas(found, frozenset(roles))


def _outside(registry: Registry, group: Group, ours: FunctionIndex) -> Iterator[tuple[str, Span]]:
    """The lambdas in bindings that stay which call `ours`, what the group defines."""
    files = (*group.units, *group.moving_headers)

    def is_ours(call: str) -> bool:
        return any(function.is_definition for _, function in ours.named(call.rpartition("::")[2]))

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


_BARE_CALL = re.compile(r"(?<![\w:.>])([A-Za-z_]\w*)(?=\s*(?:<[^<>()]*>)?\s*\()")


def _qualified(text: str, ours: FunctionIndex) -> str:
    """Calls of `ours` by their full names: the place it moves to has neither its namespace nor its `using`."""

    def full(call: re.Match[str]) -> str:
        scopes = {function.qualified for _, function in ours.named(call[1]) if function.is_definition}
        return scopes.pop() if len(scopes) == 1 else call[1]

    return _BARE_CALL.sub(full, text)
