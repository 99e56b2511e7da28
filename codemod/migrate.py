"""One migration as a plan: every room is asked for its change, and the changes are joined into files.

Nothing here writes. The plan is a function of the bytes that were read and of the options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from codemod.bindings.plan import plan_bindings
from codemod.bindings.read import binding_spans
from codemod.buildfiles.plan import plan_build
from codemod.config import Config
from codemod.helper_files import headers_of, plan_helpers
from codemod.model import (
    Change,
    Diagnostic,
    Edit,
    FileChange,
    Move,
    NewFile,
    Plan,
    Severity,
    SiteCount,
)
from codemod.project import GroupProject, make_project
from codemod.relocate import Relocation
from codemod.repository.layout import Group, Layout
from codemod.repository.snapshot import Snapshot
from codemod.rules.dispatch_macros import OTHER_DTYPES
from codemod.rules.engine import Rewritten, rewrite_document
from codemod.rules.includes import IncludeWish, needed_by_names, with_implied, write_includes
from codemod.rules.shared import dual_judge
from codemod.rules.snippets import DEFAULT_TARGET
from codemod.source.document import SOURCE_SUFFIXES
from codemod.source.edits import OverlapError, apply, settle
from codemod.source.formatting import format_changed, style_for

_SYSTEM_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*<([^>\n]+)>', re.MULTILINE)
_CLOSED = re.compile(r"torch/(?!csrc/stable|headeronly)|ATen/|c10/")


@dataclass(frozen=True)
class Options:
    """How a group is migrated. `target` is the oldest torch that must run the result, `headers` builds it (target if empty)."""

    target: str = DEFAULT_TARGET
    in_place: bool = False
    headers: str = ""
    format: bool = True


def plan_migration(
    snapshot: Snapshot, layout: Layout, group: Group, options: Options, config: Config | None = None
) -> Plan:
    """What migrating `group` would do. Raises Refusal where a file cannot be read or edited."""
    files = (*group.files, *group.migrated)
    if not files:
        return Plan(group.name, options.target)
    options = replace(options, target=options.target or DEFAULT_TARGET)
    made = make_project(snapshot, layout, _with_migrated(group), options.target, config, options.headers)
    moves = () if options.in_place else tuple(
        Move(path, layout.landing(path)) for path in group.files if layout.landing(path) != path
    )
    bindings = plan_bindings(snapshot, layout, group, target=options.target)
    rewritten = {path: _rewrite(made, path) for path in files}
    rewritten |= {path: _rewrite_shared(made, path) for path in made.shared}
    roles = frozenset(role for one in rewritten.values() for role in one.helpers)
    helpers = plan_helpers(snapshot, layout, made, roles)
    created = tuple(new for change in (bindings, helpers) for new in change.created)
    place = Relocation(snapshot, layout, made.graph, moves, tuple(new.path for new in created), made.replaced)
    kernels = _kernel_change(snapshot, layout, made, rewritten, place, bindings)
    units = tuple(new.path for new in bindings.created if new.path.endswith((".cpp", ".cu", ".cc")))
    build = plan_build(snapshot, layout, group, moves, target=options.target, created=units)
    changes = (kernels, bindings, helpers, build)
    plan = join(snapshot, group.name, options, changes, moves, formatted=frozenset((*files, *made.shared)))
    clashes = tuple(
        Diagnostic(OTHER_DTYPES, Severity.WARNING, layout.stable_dispatch, _nowhere(),
                   f"{made.project.dispatch[name].stable} was written: its namesake covers other dtypes")
        for name in made.translation.clashes if f"dispatch:{name}" in roles
    )
    counts = {path: one.sites for path, one in rewritten.items()}
    return replace(plan, diagnostics=(*plan.diagnostics, *clashes), sites=counts)


def _nowhere():  # type: ignore[no-untyped-def]
    from codemod.model import Span

    return Span(0, 0)


def _with_migrated(group: Group) -> Group:
    return replace(group, units=(*group.units, *group.migrated))


def _rewrite(made: GroupProject, path: str) -> Rewritten:
    context = made.context(path)
    return _named(rewrite_document(context, skip=binding_spans(context.document)), path)


def _rewrite_shared(made: GroupProject, path: str) -> Rewritten:
    context = made.context(path)
    judge = dual_judge(context.document, made.check[0])
    return _named(rewrite_document(context, skip=binding_spans(context.document), judge=judge), path)


def _named(one: Rewritten, path: str) -> Rewritten:
    return replace(one, diagnostics=tuple(replace(d, path=path) for d in one.diagnostics))


def _kernel_change(
    snapshot: Snapshot,
    layout: Layout,
    made: GroupProject,
    rewritten: Mapping[str, Rewritten],
    place: Relocation,
    bindings: Change,
) -> Change:
    from codemod.model import FileEdit

    edits: list[FileEdit] = []
    diagnostics: list[Diagnostic] = []
    for path, one in rewritten.items():
        document = made.documents[path]
        shared = path in made.shared
        registered = [f.edit for f in bindings.edits if f.path == path]
        after = apply(document.data, one.edits)
        own = headers_of(one.helpers, made, layout)
        system = set(one.includes) | needed_by_names(document.code)
        if any(b"STABLE_TORCH_LIBRARY" in edit.replacement for edit in registered):
            system.add("torch/csrc/stable/library.h")
        if shared:
            system = {name for name in system if not name.startswith("torch/csrc/")}
        if b"std::vector<int64_t>" in after and b"std::vector<int64_t>" not in document.data:
            system.add("vector")
        own = frozenset(header for header in own if header != path)
        provided = _provided(snapshot, made, path, own)
        uses = {made.project.dispatch[r.partition(":")[2]].name for r in one.helpers if r.startswith("dispatch:")}
        if shared and not one.includes and not one.helpers and not one.include_sites:
            include_edits: tuple[Edit, ...] = ()
        else:
            include_edits, found = write_includes(
                document, one.include_sites, IncludeWish(frozenset(system), own), place.new_path(path),
                place.respeller(path, bool(uses)), provided,
            )
            diagnostics += found
        edits += [FileEdit(path, edit) for edit in (*one.edits, *include_edits)]
        diagnostics += one.diagnostics
    return Change("Rewrite the kernels", tuple(edits), (), (), tuple(diagnostics))


def _provided(snapshot: Snapshot, made: GroupProject, path: str, own: Iterable[str]) -> frozenset[str]:
    """System headers that come in through the repository's own: those of `own`, and those `path` includes already."""
    stays = {p for p in made.graph.closure(made.graph.direct(path)) if p not in made.replaced}
    found: set[str] = set()
    for header in {*own, *stays}:
        text = snapshot.read(header) if snapshot.exists(header) else b""
        names = {m.group(1).decode("utf-8", "replace") for m in _SYSTEM_INCLUDE.finditer(text)}
        found |= names if header in own else {n for n in names if not _CLOSED.match(n)}
    return with_implied(found)


def join(
    snapshot: Snapshot,
    name: str,
    options: Options,
    changes: Sequence[Change],
    moves: Sequence[Move],
    formatted: frozenset[str] = frozenset(),
) -> Plan:
    """The plan of several changes: edits applied, files moved, changed lines of `formatted` files formatted.

    Edits of different rooms that meet in one file and cannot both be done are reported, and the file is left alone.
    """
    edits: dict[str, list[Edit]] = {}
    for change in changes:
        for one in change.edits:
            edits.setdefault(one.path, []).append(one.edit)
    landing = {move.old: move.new for move in moves}
    diagnostics = [d for change in changes for d in change.diagnostics]
    files: list[FileChange] = []
    for path in sorted({*edits, *landing}):
        before = snapshot.read(path)
        try:
            done = settle(edits.get(path, ()))
        except OverlapError as error:
            span = error.second.span
            diagnostics.append(Diagnostic("TSA790", Severity.ERROR, path, span, str(error), "edit this place by hand"))
            done = ()
        after = apply(before, done)
        new_path = landing.get(path, path)
        if options.format and path in formatted and path.endswith(SOURCE_SUFFIXES):
            after = format_changed(new_path, before, after, style_for(snapshot, new_path))
        if after != before or new_path != path:
            files.append(FileChange(path, new_path, before, after, done))
    for new in _merged(changes):
        before_new = snapshot.read(new.path) if snapshot.exists(new.path) else None
        if before_new != new.content:
            files.append(FileChange(new.path if before_new is not None else None, new.path, before_new, new.content))
    return Plan(name, options.target, tuple(files), tuple(diagnostics))


def _merged(changes: Sequence[Change]) -> tuple[NewFile, ...]:
    found: dict[str, NewFile] = {}
    for change in changes:
        for new in change.created:
            found[new.path] = new
    return tuple(found[path] for path in sorted(found))
