"""The files of a group, rewritten by the rules, with their include lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from codemod.bindings.reading.read import binding_spans, registration_spans
from codemod.carried_includes import carried_headers
from codemod.helper_files import headers_of
from codemod.model import Change, Diagnostic, Edit, FileEdit
from codemod.project import GroupProject
from codemod.relocate import Relocation
from codemod.repository.layout import Layout
from codemod.repository.snapshot import Snapshot
from codemod.rules.engine import Rewritten, rewrite_document
from codemod.rules.includes import IncludeWish, needed_by_names, with_implied, write_includes
from codemod.rules.shared import dual_judge, switched
from codemod.source.conditions import conditions_at
from codemod.source.document import CUDA_SUFFIXES, HEADER_SUFFIXES, Document, lines_matching
from codemod.source.edits import OverlapError, apply
from codemod.source.mask import mask
from codemod.source.patterns import word_start

_SYSTEM_INCLUDE = re.compile(rb"#[ \t]*include[ \t]*<([^>\n]+)>")
# What the rules write in passing, with the header it needs.
_WRITTEN = {b"std::vector<int64_t>": "vector", b"torch::stable::Device(": "torch/csrc/stable/device.h"}
_COMMON = ("algorithm", "cstdio", "cstdlib", "cassert", "cfloat", "climits", "tuple", "stdexcept")
_BUILT_INTO_NVCC = frozenset({"cuda_runtime.h"})
_CLOSED = re.compile(r"torch/(?!csrc/stable|headeronly)|ATen/|c10/|THC?/")


def rewrite_files(made: GroupProject, files: Iterable[str]) -> dict[str, Rewritten]:
    """What the rules make of the group's files and of the headers it shares, by path."""
    rewritten = {path: _rewrite(made, path) for path in files}
    return rewritten | {path: _rewrite_shared(made, path) for path in made.shared}


def _rewrite(made: GroupProject, path: str) -> Rewritten:
    context = made.context(path)
    return _placed(rewrite_document(context, registration_spans(context.document)), path)


def _rewrite_shared(made: GroupProject, path: str) -> Rewritten:
    context = made.context(path)
    document = context.document
    judge = dual_judge(document, made.check[0])
    both = partial(switched, document)
    return _placed(rewrite_document(context, binding_spans(document), judge=judge, around=both), path)


def _placed(one: Rewritten, path: str) -> Rewritten:
    return replace(one, diagnostics=tuple(replace(d, path=path) for d in one.diagnostics))


def kernel_change(
    snapshot: Snapshot,
    layout: Layout,
    made: GroupProject,
    rewritten: Mapping[str, Rewritten],
    place: Relocation,
    bindings: Change,
) -> Change:
    """The edits of the group's files: what the rules made of them, and their include lines.

    `bindings` is looked at for registrations that were edited in place: what they need is included too.
    """
    edits: list[FileEdit] = []
    diagnostics: list[Diagnostic] = []
    for path, one in rewritten.items():
        others = {p: other for p, other in rewritten.items() if p != path}
        registered = tuple(f.edit for f in bindings.edits if f.path == path)
        reached = (path, *made.graph.closure((path,)))
        loses = any(_loses_torch(rewritten[p]) if p in rewritten else p in layout.legacy_declarations for p in reached)
        blocks = binding_spans(made.documents[path])
        outside = tuple(edit for edit in one.edits if not any(block.contains(edit.span) for block in blocks))
        kept = replace(one, edits=outside)
        include_edits, found = _includes(snapshot, layout, made, kept, path, place, registered, loses, others)
        edits += [FileEdit(path, edit) for edit in (*outside, *include_edits)]
        diagnostics += (*one.diagnostics, *found)
    return Change("Rewrite the kernels", tuple(edits), (), (), tuple(diagnostics))


def _includes(
    snapshot: Snapshot,
    layout: Layout,
    made: GroupProject,
    one: Rewritten,
    path: str,
    place: Relocation,
    registered: Sequence[Edit],
    loses: bool,
    others: Mapping[str, Rewritten],
) -> tuple[tuple[Edit, ...], tuple[Diagnostic, ...]]:
    """The edits of the include lines of one file. `loses`: it or a header it includes does without torch's now."""
    document = made.documents[path]
    is_shared = path in made.shared
    if is_shared and not (one.includes or one.helpers or one.include_sites):
        return (), ()
    own = (headers_of(one.helpers, made, layout) | carried_headers(place, path)) - {path}
    umbrella = any(site.entry is not None and site.entry.form == "drop" for site in one.include_sites)
    legacy_only = frozenset(i.name for i in place.graph.includes(path) if i.target in place.replaced)
    both_worlds = is_shared and (one.switches or bool(legacy_only) or (umbrella and not own))
    after = _after(document.data, (*one.edits, *registered))
    code_after = mask(after)
    system = _system_headers(one, document, code_after, registered, is_shared and not both_worlds, loses)
    wish = IncludeWish(system, own, own & {made.check[1]})
    uses_dispatch = any(role.startswith(("dispatch:", "switch:")) for role in one.helpers)
    respell = place.respeller(path, uses_dispatch, made.idle_headers(path, code_after))
    provided = _provided(snapshot, made, path, own)
    if not one.include_sites and not path.endswith(HEADER_SUFFIXES):
        provided |= _gained(made, path, others)
    return write_includes(
        document,
        one.include_sites,
        wish,
        partial(place.spell, place.new_path(path)),
        respell,
        provided,
        both_worlds,
        legacy_only if is_shared else frozenset(),
        made.uses,
    )


def _system_headers(
    one: Rewritten, document: Document, after: bytes, registered: Sequence[Edit], header_only: bool, loses: bool
) -> frozenset[str]:
    """The headers of torch and of the standard library that a file needs, whose code will be `after`."""
    code = document.code
    wanted = set(one.includes) | (needed_by_names(code) if loses else _left_behind(document))
    if document.path.endswith(CUDA_SUFFIXES):
        wanted -= _BUILT_INTO_NVCC
    if any(b"STABLE_TORCH_LIBRARY" in edit.replacement for edit in registered):
        wanted.add("torch/csrc/stable/library.h")
    for written, header in _WRITTEN.items():
        if written in after and written not in code:
            wanted.add(header)
    if any(b"PyMODINIT_FUNC" in edit.replacement for edit in registered):
        wanted.add("Python.h")
    if not re.search(word_start(b"py") + rb"(?:bind11)?\s*::", after):
        wanted = {name for name in wanted if not name.startswith("pybind11/")}  # went with the module
    if header_only:
        wanted = {name for name in wanted if not name.startswith("torch/csrc/")}
    return frozenset(wanted)


def _left_behind(document: Document) -> frozenset[str]:
    """What a header without includes of torch relies on its includers for, and stable code does not bring along."""
    if not document.path.endswith((*HEADER_SUFFIXES, ".cuh")):
        return frozenset()
    brought = with_implied(("torch/csrc/stable/tensor.h", "torch/csrc/stable/ops.h", *_COMMON))
    return frozenset(h for h in needed_by_names(document.code) - brought if "." not in h)


def _loses_torch(one: Rewritten) -> bool:
    return any(site.entry is None or site.entry.form != "same" for site in one.include_sites)


def _after(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The bytes once `edits` are done; as they are where the edits collide, which the plan reports."""
    try:
        return apply(data, edits)
    except OverlapError:
        return data


def _gained(made: GroupProject, path: str, others: Mapping[str, Rewritten]) -> frozenset[str]:
    """Headers that a unit without includes of torch keeps getting through the rewritten headers it includes."""
    reached = [others[header] for header in made.graph.closure(made.graph.direct(path)) if header in others]
    return with_implied(name for one in reached if one.include_sites for name in one.includes)


def _brought(document: Document) -> set[str]:
    """The system headers that a header includes; not those of the standard library that it has under a condition."""
    lines = lines_matching(_SYSTEM_INCLUDE, document.data)
    found = {(match.group(1).decode("utf-8", "replace"), start) for start, match in lines}
    return {name for name, place in found if "." in name or not _conditional(document, place)}


def _conditional(document: Document, place: int) -> bool:
    return any("TORCH_TARGET_VERSION" not in condition for condition in conditions_at(document, place))


def _provided(snapshot: Snapshot, made: GroupProject, path: str, own: Iterable[str]) -> frozenset[str]:
    """System headers that come in through the repository's own: those of `own`, and those `path` includes already."""
    stays = {p for p in made.graph.closure(made.graph.direct(path)) if p not in made.replaced}
    found: set[str] = set()
    for header in {*own, *stays}:
        names = _brought(snapshot.document(header)) if snapshot.exists(header) else set()
        found |= names if header in own else {n for n in names if not _CLOSED.match(n)}
    return with_implied(found)
