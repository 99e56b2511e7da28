"""What a rewritten file of the group has to include, and the edits of its include lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch_stabilize.includes.carried import carried_headers
from torch_stabilize.includes.relocate import Relocation
from torch_stabilize.migration.helper_files import headers_of
from torch_stabilize.migration.project import GroupProject
from torch_stabilize.model import Diagnostic, Edit
from torch_stabilize.repository.includes import Include
from torch_stabilize.rules.engine import Rewritten
from torch_stabilize.rules.includes import IncludeWish, write_includes
from torch_stabilize.rules.needed_headers import needed_by_names, with_implied
from torch_stabilize.source.conditions import CONDITION_KINDS, conditions_at, read_directives
from torch_stabilize.source.document import (
    ANY_HEADER,
    CUDA_SUFFIXES,
    HEADER_SUFFIXES,
    Document,
    lines_matching,
    per_document,
)
from torch_stabilize.source.edits import OverlapError, apply
from torch_stabilize.source.mask import mask
from torch_stabilize.source.patterns import word_start

_SYSTEM_INCLUDE = re.compile(rb"#[ \t]*include[ \t]*<([^>\n]+)>")
_NAMESPACE_OF_PYBIND = re.compile(word_start(b"py") + rb"(?:bind11)?\s*::")
# What the rules write in passing, with the header it needs.
_WRITTEN = {b"std::vector<int64_t>": "vector", b"torch::stable::Device(": "torch/csrc/stable/device.h"}
# What registrations that were edited in place need.
_REGISTERED = {b"STABLE_TORCH_LIBRARY": "torch/csrc/stable/library.h", b"PyMODINIT_FUNC": "Python.h"}
_STABLE = ("torch/csrc/stable/tensor.h", "torch/csrc/stable/ops.h")
_COMMON = ("algorithm", "cstdio", "cstdlib", "cassert", "cfloat", "climits", "tuple", "stdexcept")
_BUILT_INTO_NVCC = frozenset({"cuda_runtime.h"})
_CLOSED = re.compile(r"torch/(?!csrc/stable|headeronly)|ATen/|c10/|THC?/")


@dataclass(frozen=True)
class FileIncludes:
    """The include lines of the file `path`, one of the `rewritten`, which gets `edits` besides.

    `registered` are edits of the registrations in it, which it gets too.
    """

    made: GroupProject
    rewritten: Mapping[str, Rewritten]
    place: Relocation
    path: str
    edits: Sequence[Edit]
    registered: Sequence[Edit]

    def written(self) -> tuple[tuple[Edit, ...], tuple[Diagnostic, ...]]:
        """The edits of the include lines, and the headers that have no stable counterpart."""
        made, place, path, one = self.made, self.place, self.path, self._one
        is_shared = path in made.shared
        if is_shared and not (one.includes or one.helpers or one.include_sites):
            return (), ()
        own = (headers_of(one.helpers, made, place.layout) | carried_headers(place, path)) - {path}
        umbrella = any(site.entry is not None and site.entry.form == "drop" for site in one.include_sites)
        for_legacy = frozenset(i.name for i in place.graph.includes(path) if i.target in place.replaced)
        both_worlds = is_shared and (one.switches or bool(for_legacy) or (umbrella and not own))
        after = mask(_after(self._document.data, (*self.edits, *self.registered)))
        system = self._system_headers(after)
        if is_shared and not both_worlds:
            system = frozenset(name for name in system if not name.startswith("torch/csrc/"))
        wish = IncludeWish(
            system, self._spelled(own), self._spelled(own & {made.check[1]}), self._provided(own), self._asked_for()
        )
        uses_dispatch = any(role.startswith(("dispatch:", "switch:")) for role in one.helpers)
        respell = place.respeller(path, uses_dispatch, made.idle_headers(path, after))
        return write_includes(
            self._document, one.include_sites, wish, respell, made.uses, for_legacy if both_worlds else None
        )

    @property
    def _one(self) -> Rewritten:
        return self.rewritten[self.path]

    @property
    def _document(self) -> Document:
        return self.made.documents[self.path]

    def _spelled(self, headers: Iterable[str]) -> frozenset[str]:
        """Headers of the repository as the file spells them from where it will be."""
        here = self.place.new_path(self.path)
        return frozenset(self.place.spell(here, header) for header in headers)

    def _system_headers(self, after: bytes) -> frozenset[str]:
        """The headers of torch and of the standard library that the file needs, whose code will be `after`."""
        document, code = self._document, self._document.code
        wanted = self._one.includes | (needed_by_names(code) if self._loses_torch() else _left_behind(document))
        wanted |= self._relied_upon()
        if document.path.endswith(CUDA_SUFFIXES):
            wanted -= _BUILT_INTO_NVCC
        wanted |= {h for text, h in _REGISTERED.items() if any(text in edit.replacement for edit in self.registered)}
        wanted |= {header for text, header in _WRITTEN.items() if text in after and text not in code}
        if not _NAMESPACE_OF_PYBIND.search(after):
            wanted = frozenset(name for name in wanted if not name.startswith("pybind11/"))  # went with the module
        return wanted

    def _relied_upon(self) -> frozenset[str]:
        """What headers that are left as they are had from torch's, which the file includes before them and loses."""
        behind = [include.target for include in self._behind_torch() if include.target]
        found: set[str] = set()
        for document, brought in self._without_torch(behind):
            if document.path not in self.rewritten:
                found |= needed_by_names(document.code) - brought
        return frozenset(found) - with_implied((*_STABLE, *_COMMON))

    def _without_torch(self, headers: Iterable[str]) -> Iterable[tuple[Document, frozenset[str]]]:
        """The files that `headers` reach without one of torch's, each with the system headers that it brings."""
        snapshot = self.place.snapshot
        for header in self.made.graph.closure(headers):
            if snapshot.exists(header):
                brought = self._brought(header)
                if not any(map(_CLOSED.match, brought)):
                    yield snapshot.document(header), brought

    def _asked_for(self) -> Mapping[str, int]:
        """Headers whose macros conditions ask for, each with the place in the file where the first one does.

        A condition is false without a word where the macro it asks for is defined further down, as by a header that
        only torch's had included before.
        """
        if not self._loses_torch():
            return {}
        document = self._document
        asked = {name: start for start, name in reversed(_asked(document))}
        had: set[str] = set()
        behind = self._behind_torch()
        for include in self.made.graph.includes(self.path):
            if include in behind and include.target:
                for other, brought in self._without_torch([include.target]):
                    for _, name in _asked(other):
                        if name not in brought | had:
                            asked[name] = min(asked.get(name, include.span.start), include.span.start)
            if include.target:
                had |= self._brought(include.target)
        usual = with_implied((*_STABLE, *_COMMON))
        return {name: place for name, place in asked.items() if name not in usual}

    def _brought(self, header: str) -> frozenset[str]:
        reached = self.made.graph.reached(header)
        return self.made.once("brought", reached, partial(self._brought_by, reached))

    def _brought_by(self, paths: Iterable[str]) -> frozenset[str]:
        snapshot = self.place.snapshot
        documents = (snapshot.document(path) for path in paths if snapshot.exists(path))
        return with_implied(name for document in documents for name in _brought(document))

    def _behind_torch(self) -> list[Include]:
        """The headers that the file includes after one of torch that is removed, or one of its own that has such."""
        graph, found, is_behind = self.made.graph, list[Include](), False
        for include in graph.includes(self.path):
            if include.target is None:
                is_behind |= _CLOSED.match(include.name) is not None
                continue
            if is_behind:
                found.append(include)
            own = graph.reached(include.target)
            is_behind = is_behind or bool(self.made.once("torch", own, partial(self._with_torch, own)))
        return found

    def _with_torch(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of `paths` that include headers of torch."""
        return frozenset(path for path in paths if path in self.rewritten and self.rewritten[path].include_sites)

    def _loses_torch(self) -> bool:
        """Whether the file, or a header that it includes, does without headers of torch that it had."""
        seen = self.made.graph.reached(self.path)
        return bool(self.made.once("losing", seen, partial(self._losing, seen)))

    def _losing(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of `paths` that do without headers of torch that they had."""
        return frozenset(
            path
            for path in paths
            if (
                any(site.entry is None or site.entry.form != "same" for site in self.rewritten[path].include_sites)
                if path in self.rewritten
                else path in self.place.layout.legacy_declarations
            )
            or self._has_switched(path)
        )

    def _has_switched(self, path: str) -> bool:
        """Whether a header has includes of torch for the legacy build alone, since an earlier migration."""
        snapshot = self.place.snapshot
        if not path.endswith(ANY_HEADER) or not snapshot.exists(path):
            return False
        if b"TORCH_TARGET_VERSION" not in snapshot.read(path):
            return False
        document = snapshot.document(path)
        return any(
            _CLOSED.match(match.group(1).decode("utf-8", "replace")) and _is_switched(document, start)
            for start, match in lines_matching(_SYSTEM_INCLUDE, document.data)
        )

    def _open(self, paths: frozenset[str]) -> frozenset[str]:
        """The system headers that `paths` include, but for torch's that are closed."""
        snapshot = self.place.snapshot
        documents = (snapshot.document(path) for path in paths - self.made.replaced if snapshot.exists(path))
        return frozenset(name for document in documents for name in _brought(document) if not _CLOSED.match(name))

    def _provided(self, own: Iterable[str]) -> frozenset[str]:
        """System headers that come in unasked, through headers of the repository.

        Those are the ones that `own` headers include, that the file includes already, and, for a unit without includes
        of torch, the rewritten ones it includes.
        """
        made, snapshot = self.made, self.place.snapshot
        reached = [made.graph.reached(path) for path in made.graph.direct(self.path)]
        found: set[str] = set()
        for paths in reached:
            found |= made.once("open", paths, partial(self._open, paths))
        for header in own:
            found |= _brought(snapshot.document(header)) if snapshot.exists(header) else set()
        if not self._one.include_sites and not self.path.endswith(HEADER_SUFFIXES):
            seen = frozenset[str]().union(*reached) & self.rewritten.keys()
            others = [self.rewritten[path] for path in seen if path != self.path]
            found |= {name for one in others if one.include_sites for name in one.includes}
        return with_implied(found)


def _left_behind(document: Document) -> frozenset[str]:
    """What a header without includes of torch relies on its includers for, and stable code does not bring along."""
    if not document.path.endswith(ANY_HEADER):
        return frozenset()
    brought = with_implied((*_STABLE, *_COMMON))
    return frozenset(h for h in needed_by_names(document.code) - brought if "." not in h)


@per_document
def _asked(document: Document) -> tuple[tuple[int, str], ...]:
    """Headers of macros that the conditions of `document` ask for, with where."""
    conditions = (line for line in read_directives(document) if line.kind in CONDITION_KINDS)
    return tuple((line.span.start, name) for line in conditions for name in needed_by_names(line.argument.encode()))


def _after(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The bytes once `edits` are done; as they are where the edits collide, which the plan reports."""
    try:
        return apply(data, edits)
    except OverlapError:
        return data


def _brought(document: Document) -> set[str]:
    """The system headers that a header includes; not those of the standard library that it has under a condition."""
    lines = lines_matching(_SYSTEM_INCLUDE, document.data)
    found = {(match.group(1).decode("utf-8", "replace"), start) for start, match in lines}
    return {name for name, place in found if "." in name or not _is_conditional(document, place)}


def _is_switched(document: Document, place: int) -> bool:
    return any("TORCH_TARGET_VERSION" in condition for condition in conditions_at(document, place))


def _is_conditional(document: Document, place: int) -> bool:
    return any("TORCH_TARGET_VERSION" not in condition for condition in conditions_at(document, place))
