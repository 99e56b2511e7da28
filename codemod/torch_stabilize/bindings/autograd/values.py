"""What `saved_data` keeps, worked out in Python from the arguments and the results of an operator.

A value may be an argument, or put together from sizes and numbers. An argument that is given another value once,
always, like `dim = dim < 0 ? x.dim() + dim : dim`, is so in Python too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tree_sitter import Node

from torch_stabilize.bindings.autograd.body import NO_CHANGERS, Changers, assigned, assignments, below, is_bare
from torch_stabilize.bindings.autograd.model import Reason
from torch_stabilize.bindings.fakes.expressions import Translator, Unplain, python_name
from torch_stabilize.source.document import Document

_HEAD = b"auto f() "


class _Translator(Translator):
    """Asks of optional arguments too, which are None in Python where they are missing."""

    def _method(self, node: Node, function: Node, values: list[Node]) -> str:
        if not values and self.text(function.named_children[-1]) in ("has_value", "defined"):
            return f"({self.value(function.named_children[0])} is not None)"
        if not values and self.text(function.named_children[-1]) == "size":  # that of a list: a tensor's has a place
            return f"len({self.value(function.named_children[0])})"
        return super()._method(node, function, values)


@dataclass(frozen=True)
class ValuesOf:
    """The values of one forward. `results` maps variables that are results to what Python calls them."""

    body: bytes
    parameters: Sequence[str]
    results: Mapping[str, str]
    changers: Changers = NO_CHANGERS

    def _assignments(self, name: str) -> list[int]:
        return assignments(self.body, name, self.changers)

    @cached_property
    def _document(self) -> Document:
        return Document("body.cpp", _HEAD + self.body)

    def _text(self, node: Node) -> str:
        return self._document.data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    @cached_property
    def _nodes(self) -> tuple[Node, ...]:
        return tuple(below(self._document.whole.tree.root_node))

    def python(self, start: int, end: int) -> tuple[str, tuple[str, ...]]:
        """The value at `body[start:end]` in Python, and the statements before it. Raises Reason."""
        first, last = start + len(_HEAD), end + len(_HEAD)
        node = next((n for n in self._nodes if n.start_byte == first and n.end_byte == last and n.is_named), None)
        text = self.body[start:end].decode("utf-8", "replace")
        if node is None:
            raise Reason(f"it keeps `{text}`, which cannot be read")
        names = {name: name for name in self.parameters} | dict(self.results)
        translator = _Translator(self._text, names, self._local)
        try:
            value = translator.value(node)
            placed = [*self._given_anew(node, translator, start), *self._locals(translator, start)]
        except Unplain as found:
            raise Reason(f"it keeps `{text}`, and {found} cannot be worked out in Python") from None
        return value, tuple(line for _, line in sorted(placed))

    def _given_anew(self, node: Node, translator: Translator, place: int) -> Iterator[tuple[int, str]]:
        """The statements that give the arguments of an expression the values they have at `place`, and their places."""
        used = {self._text(n) for n in below(node) if n.type == "identifier"}
        waiting, seen = sorted(used), set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.parameters:
                for at, right in self._argument_anew(name, place):
                    yield at, f"{python_name(name)} = {translator.value(right)}"
                    waiting += sorted({self._text(n) for n in below(right) if n.type == "identifier"})
            elif (value := self._local(name)) is not None:
                waiting += sorted({self._text(n) for n in below(value) if n.type == "identifier"})

    def _argument_anew(self, name: str, place: int) -> Iterator[tuple[int, Node]]:
        places = self._assignments(name)
        if not places:
            return
        right = assigned(self.body, name, places[0])
        if len(places) > 1 or right is None or not is_bare(self.body, places[0]) or places[0] > place:
            raise Unplain(f"{name}, which gets other values,")
        if "".join(self._text(right).split()) == f"{name}.contiguous()":
            return  # of the same sizes
        if any(o != name and self._assignments(o) for o in self._arguments_in(right)):
            raise Unplain(f"{name}, which depends on what gets other values,")
        yield places[0] + len(_HEAD), right

    def _arguments_in(self, node: Node) -> set[str]:
        return {self._text(n) for n in below(node) if n.type == "identifier"} & set(self.parameters)

    def _locals(self, translator: Translator, place: int) -> list[tuple[int, str]]:
        done: dict[str, tuple[int, str]] = {}
        while missing := [name for name in translator.used if name not in done]:
            for name in missing:
                value = self._local(name)
                if value is None or value.start_byte - len(_HEAD) > place:
                    raise Unplain(name)
                done[name] = value.start_byte, f"{python_name(name)} = {translator.value(value)}"
        return list(done.values())

    def _local(self, name: str) -> Node | None:
        """What a local is bound to, always and only once."""
        if name in self.parameters or name in self.results or self._assignments(name):
            return None
        found = [n for n in self._nodes if n.type == "init_declarator" and self._declared(n) == name]
        if len(found) != 1 or not is_bare(self.body, _statement(found[0]).start_byte - len(_HEAD)):
            return None
        return found[0].child_by_field_name("value")

    def _declared(self, node: Node) -> str:
        name = node.child_by_field_name("declarator")
        while name is not None and name.type == "reference_declarator":
            name = name.named_children[0]
        return self._text(name) if name is not None else ""


def _statement(node: Node) -> Node:
    while node.parent is not None and not node.type.endswith(("declaration", "statement")):
        node = node.parent
    return node
