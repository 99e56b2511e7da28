"""Includes of headers that move, in files of registrations that stay: what they named has gone too."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.reading.model import BlockKind
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.reading.text import newline_of
from torch_stabilize.model import Edit, Span
from torch_stabilize.repository.includes import Include, IncludeGraph
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_end, line_start

_FOR_MODULES = ("torch/extension.h", "torch/python.h", "pybind11/pybind11.h")
_FOR_LIBRARIES = (
    "torch/library.h", "torch/extension.h", "torch/all.h", "torch/torch.h", "torch/script.h", "torch/python.h",
)  # fmt: skip


def dropped_includes(registry: Registry, group: Group, document: Document) -> tuple[list[Span], list[Edit]]:
    """The lines that include headers which move, and an edit of one that brought what registers: it includes that."""
    if not group.moving_headers:
        return [], []
    includes = registry.graph.includes(document.path)
    dropped = [include for include in includes if include.target in group.moving_headers]
    lost = _lost(registry, document, dropped, [i for i in includes if i not in dropped])
    between = newline_of(document.data) + b"#include "
    edits = [
        Edit(include.span, between.join(f"<{name}>".encode() for name in names), codes.MOVED.code)
        for include, names in lost.items()
    ]
    going = [include for include in dropped if include not in lost]
    return [_line(document, include.span) for include in going], edits


def _lost(
    registry: Registry, document: Document, dropped: list[Include], staying: list[Include]
) -> dict[Include, list[str]]:
    """The includes through which alone the file has the macro of a block, with the headers of others that have it."""
    found = registry.bindings.get(document.path)
    kinds = {block.kind for block in found.blocks} if found else set()
    wanted = [
        names
        for names, needed in ((_FOR_MODULES, BlockKind.PYBIND in kinds), (_FOR_LIBRARIES, kinds - {BlockKind.PYBIND}))
        if needed
    ]
    brought = _of_others(registry.graph, staying)
    lost: dict[Include, list[str]] = {}
    for names in wanted:
        if brought.intersection(names):
            continue
        through = ((include, _of_others(registry.graph, [include])) for include in dropped)
        having = ((include, name) for include, found in through for name in names if name in found)
        for include, name in itertools.islice(having, 1):
            lost.setdefault(include, []).append(name)
            brought |= {name}
    return lost


def _of_others(graph: IncludeGraph, includes: Iterable[Include]) -> frozenset[str]:
    """The names of headers from elsewhere that `includes` bring, themselves or through headers of the repository."""
    includes = list(includes)
    ours = graph.closure(include.target for include in includes if include.target is not None)
    inner = [inner for path in ours for inner in graph.includes(path)]
    return frozenset(include.name for include in (*includes, *inner) if include.target is None)


def _line(document: Document, span: Span) -> Span:
    return Span(line_start(document.data, span.start), line_end(document.data, span.end))
