"""Random functions as trees: they can be written as C++ and made smaller."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# The smallest expression of each kind, which a larger one is replaced by to make a function smaller.
LEAVES = {
    "tensor": "x",
    "int": "1",
    "double": "0.5",
    "bool": "true",
    "sizes": "{-1}",
    "list": "std::vector<at::Tensor>{x}",
}
BLOCK = "block"
_DEFINED = re.compile(r"\b\w+_NAME\b")


class Node(NamedTuple):
    """A piece of C++: `text` with `@` for each of `parts`. Of a block each part is a statement that may go."""

    kind: str
    text: str
    parts: tuple[Node, ...] = ()

    def written(self) -> str:
        """The C++."""
        if self.kind == BLOCK:
            return "\n".join(part.written() for part in self.parts)
        pieces = self.text.split("@")
        found = pieces[0]
        for part, piece in zip(self.parts, pieces[1:], strict=True):
            found += part.written() + piece
        return found


class Function(NamedTuple):
    """A function `returns NAME(at::Tensor x, at::Tensor y, int64_t n, double a)`; NAME is `name` wherever it stands."""

    name: str
    returns: str  # "at::Tensor", "int64_t", "double", "bool", "std::string", "std::tuple<at::Tensor, at::Tensor>"
    body: Node
    definitions: tuple[str, ...] = ()  # what stands in front of it where it is used; each has a name that ends in _NAME

    def written(self) -> str:
        """The C++, in lines of its own."""
        text = f"{self.returns} NAME(at::Tensor x, at::Tensor y, int64_t n, double a) {{\n{self.body.written()}\n}}\n"
        for definition in reversed(self.definitions):
            if any(word in text for word in _DEFINED.findall(definition)):
                text = f"{definition.rstrip()}\n{text}"
        return text.replace("NAME", self.name)

    def smaller(self) -> Iterator[Function]:
        """The functions that return one expression of this one, and those that lack one thing of it."""
        for part in _below(self.body) if self.returns == "at::Tensor" else ():
            if part.kind == "tensor":
                yield self._replace(body=Node(BLOCK, "", (Node("statement", "  return @;", (part,)),)))
        for body in _smaller(self.body):
            yield self._replace(body=body)

    @property
    def size(self) -> int:
        """How much there is to read."""
        return len(self.written())


def _smaller(node: Node) -> Iterator[Node]:
    leaf = LEAVES.get(node.kind)
    if node.kind == "statement":  # a block in place of the statement around it
        yield from (part for part in node.parts if part.kind == BLOCK)
    if leaf is not None and node.text != leaf:
        yield Node(node.kind, leaf)
        yield from (part for part in _below(node) if part.kind == node.kind)
    for place, part in enumerate(node.parts):
        if node.kind == BLOCK and not part.text.lstrip().startswith("return"):
            yield node._replace(parts=(*node.parts[:place], *node.parts[place + 1 :]))
        for other in _smaller(part):
            yield node._replace(parts=(*node.parts[:place], other, *node.parts[place + 1 :]))


def _below(node: Node) -> Iterator[Node]:
    for part in node.parts:
        yield part
        yield from _below(part)
