"""Every unstable site of a tree, fast: by tokens and by the names of tensors, without following types.

The rules know better what a site becomes; a scan tells how much there is, where, and under which code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from torch_stabilize.config import Config
from torch_stabilize.model import Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import include_graph
from torch_stabilize.rules.context import Site, SiteKind
from torch_stabilize.rules.sites import find_sites, in_legacy_branch
from torch_stabilize.rules.tensor_calls import UNMISTAKABLE
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.source.spans import line_start
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.headers import OLDEST_TARGET
from torch_stabilize.surface.table import load_surface
from torch_stabilize.surface.versions import parse_version

NO_TARGET = "none"
_TENSOR = re.compile(rb"\bTensor\b(?:\s*>)?(?:\s*const\b)?[\s&*]*\b([A-Za-z_]\w*)\b")
_RECEIVER = re.compile(rb"([A-Za-z_]\w*)\s*(?:\.\s*value\s*\(\s*\)\s*)?(?:\.|->)\s*(?:template\s+)?\Z")
_DEFINED = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+((?:TORCH|AT|C10|CAFFE2)_\w+)", re.MULTILINE)
_WORTH_A_LOOK = re.compile(rb"\b(?:at|c10|torch|caffe2)\b|\b(?:ATen|AT_|C10_|TORCH_|PYBIND11_)|\bCUDA_KERNEL_LOOP")


@dataclass(frozen=True)
class FoundSite:
    """One unstable site. `line` and `column` count from 1; `function` is the one around it, empty at namespace scope.

    `target` is the oldest torch whose binaries may use the stable form: "" where every supported one does, "none" where
    there is no stable form.
    """

    path: str
    line: int
    column: int
    name: str
    code: str
    function: str
    kind: str
    target: str


@dataclass(frozen=True)
class Scan:
    """All sites, by path and place."""

    sites: tuple[FoundSite, ...]


def scan_tree(snapshot: Snapshot, layout: Layout, config: Config | None = None) -> Scan:
    """The sites of every C++ and CUDA file of the extension."""
    graph = include_graph(snapshot, layout, config or Config())
    known = frozenset(name.decode() for path in graph.files for name in _DEFINED.findall(snapshot.read(path)))
    return Scan(tuple(site for path in graph.files for site in scan_document(snapshot.document(path), known)))


def scan_document(document: Document, known: frozenset[str] = frozenset()) -> tuple[FoundSite, ...]:
    """The sites of one file; `known` are macros that the project defines elsewhere."""
    if not _WORTH_A_LOOK.search(document.data) and b"Tensor" not in document.data:
        return ()
    return tuple(_Scanner(document, known).sites())


def _target(entry: Entry | None) -> str:
    if entry is None or entry.form == "none":
        return NO_TARGET
    return entry.target if parse_version(entry.target) >= parse_version(OLDEST_TARGET) else ""


@dataclass(frozen=True)
class _Scanner:
    document: Document
    known: frozenset[str] = frozenset()

    def sites(self) -> Iterator[FoundSite]:
        surface = load_surface()
        for site in find_sites(self.document, surface, (), self.known):
            if site.entry is not None and site.entry.form == "same":
                continue
            if site.kind is SiteKind.BARE or (site.kind is SiteKind.METHOD and not self._is_tensors(site)):
                continue
            if self._is_stable_form(site):
                continue
            if in_legacy_branch(self.document, site.span.start):
                continue
            yield self._found(site)

    def _is_stable_form(self, site: Site) -> bool:
        """Whether the name is that of its own stable form: `t.element_size()`, whose type alone is another."""
        is_own = site.entry is not None and (site.entry.stable or "").startswith(f"{{t}}.{site.name}(")
        return is_own and b"torch/csrc/stable/" in self.document.data

    def _found(self, site: Site) -> FoundSite:
        line, column = self._place(site.span)
        code = site.entry.rule if site.entry is not None else "TSA900"
        target = _target(site.entry)
        function = self._function_at(site.span.start)
        return FoundSite(self.document.path, line, column, site.name, code, function, site.kind.value, target)

    def _is_tensors(self, site: Site) -> bool:
        if site.name in UNMISTAKABLE:
            return site.name != "data_ptr" or self.document.code[site.span.end : site.span.end + 1] == b"<"
        before = self.document.code[max(0, site.span.start - 80) : site.span.start]
        receiver = _RECEIVER.search(before)
        return receiver is not None and receiver.group(1) in self._tensors

    def _place(self, span: Span) -> tuple[int, int]:
        data = self.document.data
        start = line_start(data, span.start)
        return data.count(b"\n", 0, start) + 1, span.start - start + 1

    @cached_property
    def _tensors(self) -> frozenset[bytes]:
        return frozenset(_TENSOR.findall(self.document.code))

    @cached_property
    def _functions(self) -> tuple[tuple[int, int, str], ...]:
        return tuple(
            (function.span.start, function.span.end, function.name)
            for function in read_signatures(self.document)
            if function.body is not None
        )

    def _function_at(self, offset: int) -> str:
        return next((name for start, end, name in self._functions if start <= offset < end), "")
