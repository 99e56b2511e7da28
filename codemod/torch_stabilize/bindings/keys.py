"""The dispatch keys under which the stable library registers an implementation.

A key that is written stays. The stable API registers under a key only, so what had none gets one by what it does: see
`effects/backends.py`. CompositeImplicitAutograd is what the dispatcher has meant by no key; what takes pointers or
launches kernels is registered for the devices whose memory it touches, because tracing runs composite kernels on
tensors without memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from torch_stabilize.bindings.effects.backends import BackendFinder, Backends
from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.bindings.reading.model import Operator, Statement
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import Located, Moved
from torch_stabilize.surface.schema import Schema, Type

EXPLICIT, IMPLICIT = "CompositeExplicitAutograd", "CompositeImplicitAutograd"
NO_KEY = frozenset({"", "CatchAll", "Undefined"})
_BACKENDS = ("CUDA", "CPU")


class Keys(NamedTuple):
    """The keys of one implementation, and what to say of the choice: "" where nothing was chosen."""

    keys: tuple[str, ...]
    reason: str = ""
    is_sure: bool = True


@dataclass(frozen=True)
class KeyFinder:
    """Finds the keys for the registrations of one repository."""

    registry: Registry

    @cached_property
    def _finder(self) -> BackendFinder:
        return BackendFinder(Program([self.registry.document(path) for path in self.registry.sources]))

    def find(self, moved: Moved, located: Located | None, schema: Schema | None, operator: Operator | None) -> Keys:
        """The keys of `moved`, which registers `located` for an operator with `schema`."""
        statement = moved.statement
        if statement.key not in NO_KEY:
            return Keys((statement.key,))
        if schema is not None and not any(_holds_tensors(argument.type) for argument in schema.arguments):
            return Keys((EXPLICIT,), "it takes no tensor")
        found = self.backends(statement, located)
        if found.is_composite:
            return Keys((IMPLICIT,), "it is put together from ops of torch", found.is_known)
        others = {s.key for s in operator.implementations if s is not statement} if operator else set[str]()
        keys = tuple(key for key in _BACKENDS if key in found.keys and key not in others)
        if schema is not None and all(_may_be_missing(argument.type) for argument in schema.arguments):
            return Keys((EXPLICIT,), "it may be called without a tensor", found.is_known)
        return Keys(keys or (EXPLICIT,), "it touches the memory of its tensors", found.is_known)

    def backends(self, statement: Statement, located: Located | None) -> Backends:
        """What the function of `statement` needs, whatever its key is."""
        function = statement.function
        if function is not None and function.is_lambda:
            document = self.registry.document(statement.path)
            return self._finder.of_span(document, function.span)
        if located is None:
            return Backends(_BACKENDS, is_known=False)
        return self._finder.of_function(self.registry.document(located.path), located.function)


def kept_keys(before: Iterable[str], after: Iterable[str]) -> bool:
    """Whether `after` can be what a migration makes of the keys `before`."""
    old, new = list(before), list(after)
    keyless = sum(key in NO_KEY for key in old)
    for key in (key for key in old if key not in NO_KEY):
        if key not in new and key != "Meta":  # which may have become a fake kernel in Python
            return False
        if key in new:
            new.remove(key)
    if not keyless:
        return not new
    return len(new) >= keyless and set(new) <= {EXPLICIT, IMPLICIT, *_BACKENDS, ""}


def _holds_tensors(kind: Type) -> bool:
    return kind.leaf == "Tensor" if kind.form != "tuple" else any(map(_holds_tensors, kind.inner))


def _may_be_missing(kind: Type) -> bool:
    """Whether an argument of this type may bring no tensor along."""
    return kind.form == "optional" or not _holds_tensors(kind)
