"""Includes of headers that move, in files of registrations that stay: what they named has gone too."""

from __future__ import annotations

from collections.abc import Iterable

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.reading.model import BlockKind
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.model import Edit, Span
from torch_stabilize.repository.includes import Include, IncludeGraph
from torch_stabilize.repository.layout import Group
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_end, line_start

_FOR_MODULES = ("torch/extension.h", "torch/python.h", "pybind11/pybind11.h")
_FOR_LIBRARIES = ("torch/library.h", "torch/extension.h", "torch/all.h", "torch/torch.h", "torch/script.h")


def dropped_includes(registry: Registry, group: Group, document: Document) -> tuple[list[Span], list[Edit]]:
    """The lines that include headers which move, and an edit of one that brought what registers: it includes that."""
    if not group.moving_headers:
        return [], []
    includes = registry.graph.includes(document.path)
    dropped = [include for include in includes if include.target in group.moving_headers]
    lost = _first_lost(registry, document, dropped, [i for i in includes if i not in dropped])
    edits = [Edit(include.span, f"<{name}>".encode(), codes.MOVED.code) for include, name in lost]
    going = [include for include in dropped if not any(include == kept for kept, _ in lost)]
    return [_line(document, include.span) for include in going], edits


def _first_lost(
    registry: Registry, document: Document, dropped: list[Include], staying: list[Include]
) -> list[tuple[Include, str]]:
    """The include through which alone the file has the macro of a block, and torch's header that has it; or nothing."""
    found = registry.bindings.get(document.path)
    kinds = {block.kind for block in found.blocks} if found else set()
    wanted = [
        names
        for names, needed in ((_FOR_MODULES, BlockKind.PYBIND in kinds), (_FOR_LIBRARIES, kinds - {BlockKind.PYBIND}))
        if needed
    ]
    brought = _of_others(registry.graph, staying)
    for names in wanted:
        if not brought.intersection(names):
            for include in dropped:
                through = _of_others(registry.graph, [include])
                if name := next((name for name in names if name in through), ""):
                    return [(include, name)]
    return []


def _of_others(graph: IncludeGraph, includes: Iterable[Include]) -> frozenset[str]:
    """The names of headers from elsewhere that `includes` bring, themselves or through headers of the repository."""
    includes = list(includes)
    ours = graph.closure(include.target for include in includes if include.target is not None)
    inner = [inner for path in ours for inner in graph.includes(path)]
    return frozenset(include.name for include in (*includes, *inner) if include.target is None)


def _line(document: Document, span: Span) -> Span:
    return Span(line_start(document.data, span.start), line_end(document.data, span.end))
