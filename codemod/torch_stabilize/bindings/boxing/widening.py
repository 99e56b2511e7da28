"""Parameters that the stable boxing gets wrong, made wider where that changes nothing: then there is no adapter.

`void scale(at::Tensor x, float by)` takes a double from then on. That is done where nothing but the registration and
units of the group call the function, all of its declarations move along, and its body hands every such parameter only
to what takes the narrower type anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.boxing.adapters import boxing_for
from torch_stabilize.bindings.boxing.narrowing import INTEGERS, may_widen, type_word
from torch_stabilize.bindings.effects.program import Program
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.reading.text import decode
from torch_stabilize.bindings.select import Located, Moved
from torch_stabilize.bindings.writing.legacy_declarations import Declaration
from torch_stabilize.model import Edit, FileEdit, Span
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.conditions import read_directives
from torch_stabilize.source.document import Document
from torch_stabilize.source.patterns import whole_word
from torch_stabilize.source.signatures import Function, read_signatures

_WIDER = {**dict.fromkeys(INTEGERS, "int64_t"), "float": "double"}


@dataclass
class Widening:
    """The functions of a group that can be widened. `edits` are those of the group's files for the ones that were."""

    registry: Registry
    group: Group
    program: Program
    moved: Sequence[Moved]
    aliases: Mapping[str, str]
    declarations: Mapping[str, Sequence[Declaration]]
    target: str
    edits: dict[tuple[str, Span], FileEdit] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def widened(self, moved: Moved) -> Moved:
        """`moved` with its function as it is to be registered: widened where that saves an adapter, else as it was."""
        reference = moved.statement.function
        if reference is None or not reference.is_plain or len(moved.functions) != 1:
            return moved
        located = moved.functions[0]
        function = located.function
        wide = widened_function(function)
        if wide == function or not self._boxes(wide):
            return moved
        heads = list(self._heads(function))
        if not self._is_ours(moved, function, heads) or not self._may_widen(located):
            return moved
        self.names.add(function.qualified)
        for path, head in heads:
            if path in self._files:
                for edit in type_edits(self.registry.document(path), head):
                    self.edits[path, edit.span] = FileEdit(path, edit)
        return moved._replace(functions=(located._replace(function=wide),))

    @property
    def _files(self) -> tuple[str, ...]:
        return (*self.group.units, *self.group.moving_headers)

    def _boxes(self, function: Function) -> bool:
        boxing = boxing_for(function, self.aliases, target=self.target, adapter_name="f", call="f")
        return boxing.adapter is None and not boxing.problems

    def _may_widen(self, located: Located) -> bool:
        document = self.registry.document(located.path)
        return all(
            bool(parameter.name) and may_widen(document, located.function, place, self.program.uses)
            for place, parameter in enumerate(located.function.parameters)
            if type_word(parameter.type_text) in _WIDER
        )

    def _heads(self, function: Function) -> Iterator[tuple[str, Function]]:
        """Every declaration and definition of that name."""
        for path in self.registry.sources:
            if function.name.encode() in self.registry.snapshot.read(path):
                for head in read_signatures(self.registry.document(path)):
                    if head.name == function.name:
                        yield path, head

    def _is_ours(self, moved: Moved, function: Function, heads: Sequence[tuple[str, Function]]) -> bool:
        """Whether there is one such function, declared where this migration writes, that only the group calls."""
        taken = {(d.path, d.function.span) for d in self.declarations.get(function.qualified, ())}
        for path, head in heads:
            same = head.parameter_types == function.parameter_types and not head.template
            known = path in self._files or (path, head.span) in taken
            if not (same and known) or path in self.registry.neutral_declarations or path in self.group.shared_headers:
                return False
        if sum(head.is_definition for _, head in heads) != 1:
            return False
        if not moved.in_place and len(heads) == 1:
            return False  # the stable header would be given the head as it was
        return not any(self._strange_uses(function.name, heads))

    def _strange_uses(self, name: str, heads: Sequence[tuple[str, Function]]) -> Iterator[int]:
        """The places that name the function and are no head of it, not what is registered, and no call in the group."""
        pattern = re.compile(whole_word(name.encode()))
        for path in self.registry.sources:
            if name.encode() not in self.registry.snapshot.read(path):
                continue
            document = self.registry.document(path)
            code = document.code
            own = [head.head for other, head in heads if other == path]
            own += [line.span for line in read_directives(document) if line.kind == "include"]
            own += [m.statement.span for m in self.moved if m.statement.path == path]
            for match in pattern.finditer(code):
                is_call = path in self._files and re.match(rb"\s*\(", code[match.end() :])
                if not is_call and not any(span.contains(Span(*match.span())) for span in own):
                    yield match.start()


def widened_function(function: Function) -> Function:
    """`function` with every parameter that would be narrowed in its wider type."""
    parameters = tuple(one._replace(type_text=_widened(one.type_text)) for one in function.parameters)
    return function._replace(parameters=parameters)


def type_edits(document: Document, function: Function) -> Iterator[Edit]:
    """The edits that widen the parameters of one head."""
    for parameter in function.parameters:
        word = type_word(parameter.type_text)
        if word in _WIDER:
            code = document.code[parameter.span.start : parameter.span.end]
            place = re.search(whole_word(word.encode()), code)
            if place is not None:
                span = Span(*place.span()).shifted(parameter.span.start)
                yield Edit(span, _WIDER[word].encode(), codes.WIDENED.code)


def widened_declaration(document: Document, declaration: Declaration) -> Declaration:
    """A declaration for the stable header, its parameters widened."""
    start = declaration.function.span.start
    text = declaration.text
    for edit in sorted(type_edits(document, declaration.function), reverse=True):
        before = len(decode(document.data[start : edit.span.start]))
        text = text[:before] + decode(edit.replacement) + text[before + len(edit.span) :]
    return declaration._replace(text=text)


def _widened(type_text: str) -> str:
    word = type_word(type_text)
    return re.sub(rf"\b{word}\b", _WIDER[word], type_text) if word in _WIDER else type_text
