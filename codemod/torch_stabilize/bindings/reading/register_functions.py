"""Functions that register for the Python module that calls them: `void init(py::module& m) { m.def(...); }`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from torch_stabilize.bindings.reading.model import BlockKind, Statement
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import Selection
from torch_stabilize.model import Span
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import line_end, line_start

_ALIAS = re.compile(
    rb"^[ \t]*(?:namespace\s+\w+\s*=\s*(?:::)?pybind11|using\s+namespace\s+(?:py|pybind11)(?:::literals)?)"
    rb"\s*;[ \t]*\r?\n",
    re.MULTILINE,
)
_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*[<\"]pybind11/[^\n]*\n", re.MULTILINE)
_USE = re.compile(rb"\b(?:py|pybind11)\s*::|\bPYBIND11_")


def whole_functions(registry: Registry, selection: Selection) -> frozenset[str]:
    """The registering functions of which every statement moves where it is: they are no more."""
    moved = {(m.statement.path, m.statement.span) for m in selection.moved if m.in_place}
    found: dict[str, bool] = {}
    for statement in registry.statements:
        if name := statement.block.function:
            found[name] = found.get(name, True) and (statement.path, statement.span) in moved
    return frozenset(name for name, is_whole in found.items() if is_whole)


def calls_one_of(document: Document, statement: Statement, names: Collection[str]) -> bool:
    """Whether a statement of a module is `init_norms(m);` for one of `names`."""
    called = re.fullmatch(rb"\s*(?:\w+\s*::\s*)*(\w+)\s*\(\s*(\w+)\s*\)\s*;\s*", document.text(statement.span))
    if called is None or statement.block.kind is not BlockKind.PYBIND:
        return False
    return called.group(1).decode() in names and called.group(2).decode() == statement.block.variable


def declarations_of(document: Document, names: Iterable[str]) -> list[Span]:
    """The lines that declare registering functions."""
    found = []
    for name in names:
        pattern = rb"^[ \t]*(?:extern\s+)?void\s+" + re.escape(name.encode()) + rb"\s*\([^(){};]*\)\s*;"
        for match in re.finditer(pattern, document.code, re.MULTILINE):
            start = line_start(document.data, match.start())
            found.append(Span(start, line_end(document.data, match.end() - 1)))
    return found


def idle_pybind(document: Document, gone: Collection[Span]) -> list[Span]:
    """The lines that bring pybind11 in, where nothing but what is `gone` uses it."""
    code = bytearray(document.code)
    lines = [Span(*m.span()) for m in _ALIAS.finditer(document.code)]
    includes = [Span(*m.span()) for m in _INCLUDE.finditer(document.uncommented)]
    for span in (*gone, *lines, *includes):
        code[span.start : span.end] = b" " * len(span)
    return [] if _USE.search(code) else [*lines, *includes]
