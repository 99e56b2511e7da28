"""Names that look like torch's and are the project's own: a namespace called `at`, a class with a tensor's methods."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch_stabilize.model import Span
from torch_stabilize.program.scan import FoundSite
from torch_stabilize.rules.snippets import known_returns
from torch_stabilize.source.declarations import around, text_of
from torch_stabilize.source.document import Document, per_document
from torch_stabilize.source.scopes import TypeFinder, receiver_type_parts
from torch_stabilize.source.spans import line_end

# what makes `Tensor`, without a namespace, torch's
_SEES_TENSOR = re.compile(
    rb"\busing\s+namespace\s+(?:::)?(?:at|torch|c10)\b|\busing\s+(?:::)?(?:at|torch)::[\w:]*Tensor\b"
    rb"|\bTensor\s*=|\bnamespace\s+(?:at|torch)\b|\btypedef\b[^;]*\bTensor\s*;"
)
_UNQUALIFIED = re.compile(rb"(?<![\w:])Tensor\b[\s&*]*\b(\w+)")
_QUALIFIED = re.compile(rb"::Tensor\b[\s&*]*\b(\w+)")
_SEES_OTHERS = re.compile(rb"\busing\s+namespace\s+(?!(?:::)?(?:at|torch|c10|std)\b)\w")


class OwnNames:
    """What sites mean in documents that are compiled together."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._finder = TypeFinder(documents, known_returns())
        self._sees_tensor = any(_SEES_TENSOR.search(document.code) for document in documents)

    def have(self, site: FoundSite, document: Document) -> bool:
        """Whether a site of `document` is a name of the project's own."""
        start = line_start_of(document.data, site.line) + site.column - 1
        fragment = document.fragment_at(start)
        if site.kind == "method":
            node = fragment.node_at(Span(start, start + len(site.name.encode())))
            field = around(node, ("field_expression",)) if node is not None else None
            receiver = receiver_type_parts(field)[0] if field is not None else None
            if receiver is None:
                return False
            if not self._sees_tensor and self._is_other_tensor(text_of(receiver), document):
                return True
            kind = self._finder.type_of(receiver, fragment, document)
            operator = field.child_by_field_name("operator") if field is not None else None
            is_arrow = operator is not None and text_of(operator) == "->"
            return kind.is_known and not (kind.pointee if is_arrow else kind).is_tensor  # a container's own method
        node = fragment.node_at(Span(start, start + 1))
        is_global = document.data[start : start + 2] == b"::"
        return node is not None and not is_global and self._finder.own_spaces.has(site.name, node)

    @staticmethod
    def _is_other_tensor(name: str, document: Document) -> bool:
        """Whether `name` is declared as a `Tensor` without a namespace, which another library's names bring."""
        return name.encode() in _other_tensors(document)


@per_document
def _other_tensors(document: Document) -> frozenset[bytes]:
    """What is declared as a `Tensor` without a namespace, and never with one, where other libraries' names are seen."""
    if _SEES_OTHERS.search(document.code) is None:
        return frozenset()
    qualified = set(_QUALIFIED.findall(document.code))
    return frozenset(_UNQUALIFIED.findall(document.code)) - qualified


def line_start_of(data: bytes, line: int) -> int:
    """Where a line starts, counted from 1."""
    start = 0
    for _ in range(line - 1):
        start = data.find(b"\n", start) + 1
    return start


def line_of(data: bytes, line: int) -> Span:
    """The span of a line, counted from 1."""
    start = line_start_of(data, line)
    return Span(start, line_end(data, start))
