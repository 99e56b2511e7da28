"""For which backends a function can run: by what its body, and all that it calls, does with memory.

A body that only calls ops of torch runs wherever these do: it is composite, autograd and tracing see into it. One that
takes a pointer to its data, or launches a kernel, runs for the devices whose memory it may touch, and on no others:
under a composite key it would be run on tensors without memory when it is traced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.model import Span
from torch_stabilize.source.document import CUDA_SUFFIXES, Document
from torch_stabilize.source.signatures import Function

CPU, CUDA = "CPU", "CUDA"
_LAUNCH = re.compile(
    rb"<<<|\b(?:cu|cuda|hip)(?:LaunchKernel\w*|LaunchCooperativeKernel|Memcpy\w*|Memset\w*|Malloc\w*)\s*\("
    rb"|\bgpu_kernel\w*\s*\(|\b(?:cublas|cusparse|cusolver|cudnn|hipblas)\w+\s*\("
)
_ON_GPU = re.compile(rb"\b(?:getCurrent(?:CUDA|HIP)Stream\w*|(?:Optional)?(?:CUDA|HIP)(?:Stream)?Guard\w*)\b")
_TOUCH = re.compile(
    rb"(?:\.|->)\s*(?:template\s+)?(?:(?:const_|mutable_)?data_ptr|(?:generic_)?packed_accessor(?:32|64)?|accessor"
    rb"|storage|data\s*<[^;(){}]*>)\s*(?:<[^;{}]*?>)?\s*\(|\bcpu_kernel\w*\s*\("
)
_ASKS = re.compile(
    rb"(?:\.|->)\s*is_(?P<is>cuda|cpu|hip)\s*\(|\bk(?P<constant>CUDA|CPU|HIP)\b|\bDeviceType\s*::\s*(?P<type>CUDA|CPU|HIP)\b"
)
_BRANCH = re.compile(rb"\bif\s*(?:constexpr\s*)?\(|\bswitch\s*\(|\?")
_CHECK = re.compile(rb"\b[A-Z][A-Z0-9_]*(?:CHECK|ASSERT)[A-Z0-9_]*\s*\([^;]*$")
_CALL = re.compile(rb"(?<![\w.>])(?:[A-Za-z_]\w*\s*::\s*)*([A-Za-z_]\w*)\s*(?:<[^;{}()]*>)?\s*\(")
_NAME = re.compile(rb"(?<![\w.>])[A-Za-z_]\w*")
_CLASS = re.compile(rb"\b(?:class|struct)\s+(?:[A-Z_]+\s+)?(?P<name>[A-Za-z_]\w*)[^;{}()]*\{")
_KEYWORDS = frozenset(
    b"if for while switch catch return sizeof alignof decltype defined assert static_assert throw new delete".split()
)
_FOREIGN = re.compile(rb"(?:at|torch|c10|std)\s*::\s*(?:\w+\s*::\s*)*$")


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


class _Node(NamedTuple):
    """A function or class that is reached: where, its text, and the functions of its name."""

    document: Document
    span: Span
    text: bytes


class _Own(NamedTuple):
    """What one body does itself."""

    launches: bool
    touches: bool
    branches: bool  # whether it tells devices apart
    wants: str  # the device it insists on


_Reached = tuple[frozenset[str], bool]


@dataclass(frozen=True)
class BackendFinder:
    """Answers for the functions of one program; each body is looked at once."""

    program: Program
    _own: dict[tuple[str, Span], _Own] = field(default_factory=dict, repr=False, compare=False)
    _called: dict[tuple[str, Span], tuple[_Node, ...]] = field(default_factory=dict, repr=False, compare=False)

    def of_function(self, document: Document, function: Function) -> Backends:
        """The backends of `function`, defined in `document`."""
        if function.body is None:
            return Backends((CUDA,) if document.path.endswith(".cu") else (CPU, CUDA), is_known=False)
        return self._answer(_Node(document, function.span, self.program.body(document, function)))

    def of_text(self, document: Document, text: bytes) -> Backends:
        """The backends of a lambda with this text in `document`."""
        return self._answer(_Node(document, Span(0, 0), text))

    def _answer(self, start: _Node) -> Backends:
        found, known = self._reached(start, {})
        return Backends(tuple(key for key in (CPU, CUDA) if key in found), known)

    def _reached(self, node: _Node, done: dict[tuple[str, Span], _Reached | None]) -> _Reached:
        """The devices of a body and all below it, and whether all of that was found.

        `done` has what was found so far, None for a body that is being looked at: a call back into it adds nothing.
        """
        place = (node.document.path, node.span)
        done[place] = None
        own = self._of(node)
        below: set[str] = set()
        known = True
        for callee in self._calls(node):
            key = (callee.document.path, callee.span)
            reached = done[key] if key in done else self._reached(callee, done)
            if reached is not None:
                below |= reached[0]
                known &= reached[1]
        for name in self._missing(node):
            known = False
            below |= {CUDA} if b"cuda" in name.lower() or b"launch" in name.lower() else set()
        result = frozenset(_devices(node, own, below)), known
        done[place] = result
        return result

    def _calls(self, node: _Node) -> tuple[_Node, ...]:
        key = (node.document.path, node.span)
        if not len(node.span):
            return tuple(self._callees(node))
        if key not in self._called:
            self._called[key] = tuple(self._callees(node))
        return self._called[key]

    def _of(self, node: _Node) -> _Own:
        key = (node.document.path, node.span)
        if not len(node.span) or key not in self._own:
            self._own[key] = _read(node.text)
        return self._own[key]

    def _callees(self, node: _Node) -> Iterator[_Node]:
        seen: set[tuple[str, Span]] = set()
        for name in _called(node.text):
            found = [one for one in self.program.functions.named(name.decode()) if one[1].is_definition]
            own = [one for one in found if one[0].path == node.document.path]
            for document, function in own or [one for one in found if not one[1].is_local]:
                place = (document.path, function.span)
                if place not in seen:
                    seen.add(place)
                    yield _Node(document, function.span, self.program.body(document, function))
        for name in {match.group() for match in _NAME.finditer(node.text)} & self._classes.keys():
            yield from (one for one in self._classes[name] if not _holds(one, node))

    def _missing(self, node: _Node) -> Iterator[bytes]:
        """Functions that are declared and defined nowhere."""
        for name in _called(node.text):
            found = self.program.functions.named(name.decode())
            if found and not any(function.is_definition for _, function in found):
                yield name

    @cached_property
    def _classes(self) -> dict[bytes, list[_Node]]:
        from torch_stabilize.source.brackets import partners

        found: dict[bytes, list[_Node]] = {}
        for document in self.program.documents:
            for match in _CLASS.finditer(document.code):
                end = partners(document).get(match.end() - 1)
                if end is not None:
                    span = Span(match.end(), end)
                    found.setdefault(match["name"], []).append(_Node(document, span, document.code[span.start : end]))
        return found


def _holds(outer: _Node, inner: _Node) -> bool:
    """Whether `inner` is a part of `outer`."""
    return outer.document.path == inner.document.path and outer.span.contains(inner.span)


def _called(text: bytes) -> set[bytes]:
    """The free functions that a body calls, those of torch and of the standard library left out."""
    calls = (match for match in _CALL.finditer(text) if not _FOREIGN.match(text, match.start(), match.start(1)))
    return {match[1] for match in calls} - _KEYWORDS


def _read(text: bytes) -> _Own:
    asks = list(_ASKS.finditer(text))
    checked = [one for one in asks if _CHECK.search(text, max(0, one.start() - 200), one.start())]
    wants = {_device(one) for one in checked if not text[: one.start()].endswith((b"!= ", b"!=", b"!"))}
    return _Own(
        launches=bool(_LAUNCH.search(text) or _ON_GPU.search(text)),
        touches=bool(_TOUCH.search(text)),
        branches=any(_decides(text, one.start()) for one in asks if one not in checked),
        wants=wants.pop() if len(wants) == 1 else "",
    )


def _device(asked: re.Match[bytes]) -> str:
    name = asked["is"] or asked["constant"] or asked["type"]
    return CPU if name.upper() == b"CPU" else CUDA


def _decides(text: bytes, place: int) -> bool:
    """Whether what is asked at `place` decides which statements run: it is in the condition of an `if`."""
    start = max(text.rfind(sign, 0, place) for sign in (b";", b"{", b"}"))
    end = min((e for e in (text.find(b"{", place), text.find(b";", place)) if e >= 0), default=len(text))
    return _BRANCH.search(text, start + 1, end) is not None


def _devices(node: _Node, own: _Own, below: Iterable[str]) -> set[str]:
    """The devices of one body, given those of what it calls."""
    found = set(below)
    if own.launches:
        return {CPU, CUDA} if own.branches and (own.touches or CPU in found) else {CUDA, *(found & {CPU})}
    if own.touches:
        if own.wants:
            return {own.wants} | (found if own.branches else set())
        if CUDA in found:
            return {CPU, CUDA} if own.branches else found
        return {CPU, CUDA} if own.branches else {CUDA if node.document.path.endswith(CUDA_SUFFIXES) else CPU}
    return found
