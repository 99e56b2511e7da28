"""For which backends a function can run: by what its body, and all that it calls, does with memory.

A body that only calls ops of torch runs wherever these do: it is composite, autograd and tracing see into it. One that
takes a pointer to its data, or launches a kernel, runs for the devices whose memory it may touch, and on no others:
under a composite key it would be run on tensors without memory when it is traced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from torch_stabilize.bindings.effects.bodies import CPU, CUDA, Body, BodyReader, Mention
from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.model import Span
from torch_stabilize.source.document import CUDA_SUFFIXES, Document
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import parse_type

_FOREIGN = ("at::", "torch::", "c10::", "std::")
_STREAMS = frozenset({"cudaStream_t", "hipStream_t", "CUstream", "CUDAStream"})


class Backends(NamedTuple):
    """The dispatch keys of the devices that a function can run for; none for one that is put together from ops.

    `is_known` is False where something it leads to was not found: then `keys` may hold too many.
    """

    keys: tuple[str, ...] = ()
    is_known: bool = True

    @property
    def is_composite(self) -> bool:
        """Whether it touches no memory, as far as can be seen."""
        return not self.keys


class _Place(NamedTuple):
    """A body that is reached: of a function, a class or a lambda. `owner` is the class that it is a member of."""

    document: Document
    span: Span
    owner: str = ""

    @property
    def key(self) -> tuple[str, Span]:
        return self.document.path, self.span


class _Step(NamedTuple):
    """What a body does itself, the bodies it leads to, and the functions that are declared and defined nowhere."""

    own: Body
    callees: tuple[_Place, ...]
    missing: tuple[Function, ...]


_Reached = tuple[frozenset[str], bool]


@dataclass(frozen=True)
class BackendFinder:
    """Answers for the functions of one program; each body is looked at once."""

    program: Program
    _steps: dict[tuple[str, Span], _Step] = field(default_factory=dict, repr=False, compare=False)

    def of_function(self, document: Document, function: Function) -> Backends:
        """The backends of `function`, defined in `document`."""
        if function.body is None:
            return Backends((CUDA,) if document.path.endswith(".cu") else (CPU, CUDA), is_known=False)
        return self._answer(_of_function(document, function))

    def of_span(self, document: Document, span: Span) -> Backends:
        """The backends of a lambda or a body at `span` of `document`."""
        return self._answer(_Place(document, span))

    def _answer(self, start: _Place) -> Backends:
        found, known = self._reached(start, {})
        return Backends(tuple(key for key in (CPU, CUDA) if key in found), known)

    def _reached(self, place: _Place, done: dict[tuple[str, Span], _Reached | None]) -> _Reached:
        """The devices of a body and all below it, and whether all of that was found.

        `done` has what was found so far, None for a body that is being looked at: a call back into it adds nothing.
        """
        done[place.key] = None
        step = self._step(place)
        below: set[str] = set()
        known = not step.missing
        for callee in step.callees:
            reached = done[callee.key] if callee.key in done else self._reached(callee, done)
            if reached is not None:
                below |= reached[0]
                known &= reached[1]
        for function in step.missing:
            below |= _devices_of_declared(function)
        result = frozenset(_devices(place, step.own, below)), known
        done[place.key] = result
        return result

    def _step(self, place: _Place) -> _Step:
        if place.key not in self._steps:
            own = self._reader.read(place.document, place.span)
            callees = {one.key: one for one in (*self._functions(own, place), *self._classes(own, place))}
            self._steps[place.key] = _Step(own, tuple(callees.values()), tuple(self._missing(own)))
        return self._steps[place.key]

    @cached_property
    def _reader(self) -> BodyReader:
        return BodyReader(self.program)

    def _functions(self, own: Body, place: _Place) -> Iterator[_Place]:
        """The functions that a body names, and the member functions it calls that are defined outside of classes."""
        for mention in own.mentions:
            found = [one for one in self._meant(mention) if one[1].is_definition]
            near = [one for one in found if one[0].path == mention.document.path]
            yield from (_of_function(*one) for one in near or found if near or not one[1].is_local)
            if place.owner:
                yield from self._members(mention.name, place.owner)
        for mention in own.methods:
            receiver = mention.node.child_by_field_name("argument")
            if receiver is not None and mention.name in self.program.functions:
                kind = self.program.uses.finder.type_of(receiver, mention.fragment, mention.document)
                yield from self._members(mention.name, kind.name.rpartition("::")[2])

    def _meant(self, mention: Mention) -> tuple[tuple[Document, Function], ...]:
        """The functions of the program that a name may mean."""
        name = mention.name.removeprefix("::")
        is_foreign = name.startswith(_FOREIGN) and not self.program.uses.finder.own_spaces.has(name, mention.node)
        return () if is_foreign else self.program.functions.meant_by(name)

    def _members(self, name: str, owner: str) -> Iterator[_Place]:
        """The functions `name` of the class `owner`, or of any if it is not known, that are defined outside of it."""
        for document, function in self.program.functions.named(name):
            scope = function.written_scope.rpartition("::")[2]
            if function.is_definition and scope and owner in ("", scope):
                yield _of_function(document, function)

    def _classes(self, own: Body, place: _Place) -> Iterator[_Place]:
        """The classes that a body names, with their bases: what is made of one may be used anywhere."""
        classes = self.program.uses.finder.written.classes
        waiting = [mention.name.rpartition("::")[2] for mention in own.mentions]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for one in classes.named(name):
                span = Span(one.body.start_byte, one.body.end_byte)
                if place.document.path != one.document.path or not span.contains(place.span):
                    yield _Place(one.document, span, name)
                    waiting += [base.name for base in one.bases]
                yield from self._members(name, name)

    def _missing(self, own: Body) -> Iterator[Function]:
        """The functions it calls that are declared and defined nowhere."""
        for mention in own.mentions:
            found = self._meant(mention) if mention.is_called else ()
            if found and not any(function.is_definition for _, function in found):
                yield found[0][1]


def _of_function(document: Document, function: Function) -> _Place:
    assert function.body is not None
    return _Place(document, function.body, function.written_scope.rpartition("::")[2])


def _devices_of_declared(function: Function) -> set[str]:
    """The devices whose memory a function may touch of which only the declaration is there: it is given a pointer."""
    kinds = [parse_type(parameter.type_text) for parameter in function.parameters]
    if any(kind.name in _STREAMS for kind in kinds):
        return {CUDA}
    return {CPU, CUDA} if any(kind.pointers and kind.name != "char" for kind in kinds) else set()


def _devices(place: _Place, own: Body, below: Iterable[str]) -> set[str]:
    """The devices of one body, given those of what it calls."""
    found = set(below)
    if own.launches:
        return {CPU, CUDA} if own.branches and (own.touches or CPU in found) else {CUDA, *(found & {CPU})}
    wants = "" if own.wants == CPU and CUDA in found else own.wants  # of a tensor that stays on the host
    if wants and (own.touches or found):
        return {wants} | (found if own.branches else set())
    if not own.touches:  # one arm leads to a kernel of CUDA, and the other may be put together from ops
        return found | {CPU} if own.branches and found else found
    if CUDA in found:
        return {CPU, CUDA} if own.branches else found
    return {CPU, CUDA} if own.branches else {CUDA if place.document.path.endswith(CUDA_SUFFIXES) else CPU}
