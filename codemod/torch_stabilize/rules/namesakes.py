"""Helpers that the project has functions of the same name as: a bare call could mean either of the two."""

from __future__ import annotations

import functools
import re

from torch_stabilize.rules.context import Context
from torch_stabilize.rules.rewrite import Part, Rewrite
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.surface.snippet import APART, APART_SPACE, all_snippets

_SPACES = frozenset({"stable_helpers", APART_SPACE})  # of generated helpers


def apart_from_namesakes(rewrite: Rewrite, context: Context) -> Rewrite:
    """`rewrite` with helpers in a namespace of their own, which it names, where the project has functions of their name.

    Within the namespace of such a function the bare name would be that function, and its own bare calls would be
    ambiguous if a using-directive brought the helper in.
    """
    apart = [role for role in rewrite.helpers if any(_has_namesake(role, name, context) for name in _functions(role))]
    also = tuple(apart_from_namesakes(one, context) for one in rewrite.also)
    if not apart:
        return rewrite if also == rewrite.also else rewrite._replace(also=also)
    names = sorted({name.encode() for role in apart for name in _functions(role)})
    word = re.compile(rb"(?<![\w:.>])(?=(?:" + b"|".join(names) + rb")\b)")

    def with_space(part: Part) -> Part:
        return word.sub(f"{APART_SPACE}::".encode(), part) if isinstance(part, bytes) else part

    helpers = tuple(f"{APART}{role}" if role in apart else role for role in rewrite.helpers)
    return rewrite._replace(parts=tuple(map(with_space, rewrite.parts)), helpers=helpers, also=also)


def _has_namesake(role: str, name: str, context: Context) -> bool:
    if role in context.project.helpers.names:
        return False  # the project has a function for it
    found = context.project.functions.named(name)
    return any(_SPACES.isdisjoint(function.namespace) and not function.needs_scope for _, function in found)


@functools.cache
def _functions(role: str) -> tuple[str, ...]:
    """The functions that a generated helper declares in its namespace."""
    snippet = all_snippets().get(role)
    if snippet is None or snippet.is_outside:
        return ()
    document = Document(f"{role}.h", snippet.code.encode())
    return tuple(dict.fromkeys(function.name for function in read_signatures(document)))
