"""Every unstable site of a tree, fast: by tokens and by the names of tensors, without following types.

The rules know better what a site becomes; a scan tells how much there is, where, and under which code.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from torch_stabilize.config import Config
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import include_graph
from torch_stabilize.rules.context import Site, SiteKind
from torch_stabilize.rules.shared import is_same_type
from torch_stabilize.rules.sites import find_sites, in_legacy_branch
from torch_stabilize.source.document import Document
from torch_stabilize.source.results import UNMISTAKABLE
from torch_stabilize.source.signatures import function_names
from torch_stabilize.source.spans import line_start
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.headers import OLDEST_TARGET
from torch_stabilize.surface.table import load_surface
from torch_stabilize.surface.versions import parse_version

NO_TARGET = "none"
_TENSOR = re.compile(rb"\bTensor\b(?:\s*>)?(?:\s*const\b)?[\s&*]*\b([A-Za-z_]\w*)\b")
_STABLE_TENSOR = re.compile(rb"\bstable\s*::\s*Tensor\b(?:\s*>)?(?:\s*const\b)?[\s&*]*\b([A-Za-z_]\w*)\b")
_OWN_CHECK = "TSA206"
METHODS_OF_BOTH = frozenset({"get_device"})  # of another type in the stable API
_RECEIVER = re.compile(rb"([A-Za-z_]\w*)\s*(?:\.\s*value\s*\(\s*\)\s*)?(?:\.|->)\s*(?:template\s+)?\Z")
_DEFINED = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+((?:TORCH|AT|C10|CAFFE2)_\w+)", re.MULTILINE)
# A file without one of these has no site. Each is looked for by itself: that is faster than any pattern.
_WORDS = (
    b"at::", b"torch", b"Tensor", b"c10", b"C10_", b"TORCH_", b"AT_", b"ATen", b"caffe2", b"CAFFE2_", b"PYBIND11_",
    b"CUDA_", b"gpuAtomic", b"RECORD_", b"THCuda", b"WARP_S", b"namespace at",
)  # fmt: skip
_SPACED = re.compile(rb"at\s+::")
_LIKE_TORCH = re.compile(rb"(?:TORCH|AT|C10|CAFFE2)_\w+")
_GIVEN_BY_BUILD = re.compile(rb"(?:-D[ \t]*|\([ \t]*[\"'])((?:TORCH|AT|C10|CAFFE2)_\w+)")
_CMAKE_DEFINITIONS = re.compile(rb"_compile_definitions[ \t]*\(([^)]*)\)", re.IGNORECASE)
_OWN_MACROS = (b"TORCH_", b"AT_", b"C10_", b"CAFFE2_")


@dataclass(frozen=True, slots=True)
class FoundSite:
    """One unstable site. `line` and `column` count from 1; `function` is the one around it, empty at namespace scope.
    `end_column` is behind the name, where that ends on the same line.

    `target` is the oldest torch whose binaries may use the stable form: "" where every supported one does, "none" where
    there is no stable form. `headers` is the oldest torch whose headers have a form of their own for it, "" where those
    of every supported one have, or none has.
    """

    path: str
    line: int
    column: int
    name: str
    code: str
    function: str
    kind: str
    target: str
    headers: str = ""
    end_column: int = 0


@dataclass(frozen=True)
class Scan:
    """All sites, by path and place."""

    sites: tuple[FoundSite, ...]


def scan_tree(
    snapshot: Snapshot, layout: Layout, config: Config | None = None, stable: Container[str] = frozenset()
) -> Scan:
    """The sites of every C++ and CUDA file of the extension; `stable` are those built for the stable ABI alone."""
    files = include_graph(snapshot, layout, config or Config()).files
    known: set[str] = set()
    worth: list[str] = []
    for path in files:
        data = snapshot.read(path)
        if is_worth_a_look(data):
            worth.append(path)
            known.update(own_macros(data))
    macros = frozenset(known) | macros_of_build(snapshot, layout)
    return Scan(
        tuple(site for path in worth for site in scan_document(snapshot.document(path), macros, path in stable))
    )


def scan_projects(snapshot: Snapshot, layouts: Iterable[Layout], config: Config) -> Scan:
    """The sites of an extension and of others in the repository, each once."""
    found: dict[FoundSite, None] = {}
    for layout in layouts:
        found |= dict.fromkeys(scan_tree(snapshot, layout, config).sites)
    return Scan(tuple(sorted(found, key=lambda site: (site.path, site.line, site.column))))


def macros_of_build(snapshot: Snapshot, layout: Layout) -> frozenset[str]:
    """The macros that the build files define under a name as torch's have them: `-DAT_FAST`, `("AT_FAST", None)`."""
    texts = (snapshot.read(path) for path in (*layout.cmake_files, *layout.setup_files) if snapshot.exists(path))
    found: set[bytes] = set()
    for text in texts:
        found.update(_GIVEN_BY_BUILD.findall(text))
        found.update(name for words in _CMAKE_DEFINITIONS.findall(text) for name in _LIKE_TORCH.findall(words))
    return frozenset(name.decode() for name in found)


def own_macros(data: bytes) -> Iterator[str]:
    """The macros that a file defines under a name as torch's have them."""
    if any(mark in data for mark in _OWN_MACROS):
        yield from (name.decode() for name in _DEFINED.findall(data))


def is_worth_a_look(data: bytes) -> bool:
    """Whether a file may have sites: it names something of torch somewhere."""
    return any(word in data for word in _WORDS) or (b"at " in data and _SPACED.search(data) is not None)


def scan_document(
    document: Document, known: frozenset[str] = frozenset(), is_stable: bool = False
) -> tuple[FoundSite, ...]:
    """The sites of one file; `known` are macros that the project defines elsewhere.

    Where it is built for the stable ABI alone, `is_stable`, what compiles there is no site: the names of c10 that the
    stable headers define, methods that their tensor has or that no tensor of theirs is asked for, and own macros.
    """
    if not is_worth_a_look(document.data):
        return ()
    return tuple(_Scanner(document, known, is_stable).sites())


def _target(entry: Entry | None) -> str:
    if entry is None or entry.form == "none":
        return NO_TARGET
    return entry.target if parse_version(entry.target) >= parse_version(OLDEST_TARGET) else ""


def _headers(entry: Entry | None) -> str:
    """The oldest headers with a form of their own for what `entry` is about, where the oldest supported have none."""
    if entry is None or (entry.form == "none" and entry.native is None):
        return ""
    since = (entry.native or entry).headers
    return since if parse_version(since) > parse_version(OLDEST_TARGET) else ""


@functools.lru_cache(maxsize=4096)
def _since(entry: Entry | None) -> tuple[str, str]:
    return _target(entry), _headers(entry)


@dataclass(frozen=True)
class _Scanner:
    document: Document
    known: frozenset[str] = frozenset()
    is_stable: bool = False

    def sites(self) -> Iterator[FoundSite]:
        unstable = [site for site in find_sites(self.document, load_surface(), (), self.known) if self._counts(site)]
        places = [site.span.start for site in unstable]
        functions = function_names(self.document, places)
        data, line, start = self.document.data, 1, 0
        for site, function in zip(unstable, functions, strict=True):
            line += data.count(b"\n", start, site.span.start)
            start = site.span.start
            column = start - line_start(data, start) + 1
            code = site.entry.rule if site.entry is not None else "TSA900"
            name, (target, headers) = sys.intern(site.name), _since(site.entry)
            end = column + len(site.span) if data.find(b"\n", start, site.span.end) < 0 else column
            yield FoundSite(
                self.document.path, line, column, name, code, function, site.kind.value, target, headers, end
            )

    def _counts(self, site: Site) -> bool:
        if site.entry is not None and site.entry.form == "same":
            return False
        if site.kind is SiteKind.BARE or (site.kind is SiteKind.METHOD and not self._is_tensors(site)):
            return False
        if self.is_stable and (self._is_in_stable_headers(site) or self._is_of_project(site)):
            return False
        return not self._is_stable_form(site) and not in_legacy_branch(self.document, site.span.start)

    def _is_in_stable_headers(self, site: Site) -> bool:
        """Whether the stable headers have the name: as a type of c10 that they define, or a method of their tensor."""
        if site.kind is SiteKind.METHOD:
            own = site.entry is not None and (site.entry.stable or "").startswith(f"{{self}}.{site.name}(")
            return own or site.name in METHODS_OF_BOTH or not self._is_stable_tensor(site)
        return site.entry is not None and is_same_type(site.name, site.entry)

    def _is_of_project(self, site: Site) -> bool:
        """Whether a macro for status codes is the project's own."""
        return site.kind is SiteKind.MACRO and site.entry is not None and site.entry.rule == _OWN_CHECK

    def _is_stable_tensor(self, site: Site) -> bool:
        """Whether the receiver has the name of something that is declared as a tensor of the stable API."""
        before = self.document.code[max(0, site.span.start - 80) : site.span.start]
        receiver = _RECEIVER.search(before)
        names = _STABLE_TENSOR.findall(self.document.code)
        return receiver is not None and receiver.group(1) in names

    def _is_stable_form(self, site: Site) -> bool:
        """Whether the name is that of its own stable form: `t.element_size()`, whose type alone is another."""
        is_own = site.entry is not None and (site.entry.stable or "").startswith(f"{{self}}.{site.name}(")
        return is_own and b"torch/csrc/stable/" in self.document.data

    def _is_tensors(self, site: Site) -> bool:
        if site.name in UNMISTAKABLE:
            return site.name != "data_ptr" or self.document.code[site.span.end : site.span.end + 1] == b"<"
        before = self.document.code[max(0, site.span.start - 80) : site.span.start]
        receiver = _RECEIVER.search(before)
        return receiver is not None and receiver.group(1) in self._tensors

    @cached_property
    def _tensors(self) -> frozenset[bytes]:
        return frozenset(_TENSOR.findall(self.document.code))
