"""One migration as a plan: every room is asked for its change, and the changes are joined into files.

Nothing here writes. The plan is a function of the bytes that were read and of the options.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from codemod.bindings.autograd.convert import convert_autograd
from codemod.bindings.codes import BAD_SCHEMA, NO_SCHEMA, STILL_CALLED, UNBOXABLE
from codemod.bindings.inventory import compare_inventories, inventory, registry_inventory
from codemod.bindings.plan import plan_bindings
from codemod.bindings.reading.registry import Registry
from codemod.bindings.staying import staying_units
from codemod.buildfiles.plan import plan_build
from codemod.config import Config
from codemod.helper_files import plan_helpers
from codemod.kernels import kernel_change, rewrite_files
from codemod.left_behind import left_behind, lost_definitions, still_called
from codemod.model import (
    DEFAULT_TARGET,
    Change,
    Diagnostic,
    Edit,
    FileChange,
    Move,
    NewFile,
    Plan,
    Severity,
    Span,
)
from codemod.project import GroupProject, make_project
from codemod.registered_lambdas import registered_lambdas
from codemod.relocate import Relocation
from codemod.repository.codes import EDITS_COLLIDE
from codemod.repository.groups import with_headers
from codemod.repository.includes import IncludeGraph
from codemod.repository.layout import Group, Layout
from codemod.repository.notes import notes_on
from codemod.repository.program.check import check_plan
from codemod.repository.program.planned import Planned, planned_tree
from codemod.repository.program.read import Program
from codemod.repository.snapshot import Snapshot
from codemod.repository.units import Units
from codemod.rules.dispatch_macros import OTHER_DTYPES
from codemod.source.document import SOURCE_SUFFIXES, UNIT_SUFFIXES, Document
from codemod.source.edits import OverlapError, apply, settle
from codemod.source.formatting import format_changed, style_for

_LOSING = frozenset({NO_SCHEMA.code, BAD_SCHEMA.code, UNBOXABLE.code})  # why an operator may not be written


@dataclass(frozen=True)
class Options:
    """How a group is migrated: `target` is the oldest torch that must run the result, `headers` the one that builds it.

    Without `headers` nothing is used that the headers of the target lack.
    """

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
    layout = layout.for_units(group.units or group.migrated)
    target = options.target or DEFAULT_TARGET
    staying = staying_units(Registry(snapshot, layout), group, target)
    if staying:
        units = tuple(unit for unit in group.units if unit not in staying)
        group = with_headers(Units(snapshot, layout, config or Config()), group.name, units, group.migrated)
        files = (*group.files, *group.migrated)
    original = snapshot
    autograd = convert_autograd(Registry(snapshot, layout), group)
    if autograd.files:  # the rest reads what stands for the autograd functions
        snapshot = snapshot.with_overlay(autograd.files)
    # what declares ops and moves as a whole, or is needed on both sides, is a header like others
    others = (*group.moving_headers, *group.shared_headers)
    declarations = tuple(path for path in layout.legacy_declarations if path not in others)
    layout = replace(layout, legacy_declarations=declarations)
    options = replace(options, target=target)
    made = make_project(snapshot, layout, _with_migrated(group), options.target, config, options.headers)
    moves = (
        ()
        if options.in_place
        else tuple(Move(path, layout.landing(path)) for path in group.files if layout.landing(path) != path)
    )
    rewritten = rewrite_files(made, files)
    registry = Registry(snapshot, layout)
    lambdas = registered_lambdas(registry, group, made, rewritten)
    bindings = plan_bindings(
        registry, group, target=options.target, lambdas=lambdas.stable, backwards=autograd.backwards
    )
    roles = frozenset(role for one in rewritten.values() for role in one.helpers) | lambdas.roles
    helpers = plan_helpers(snapshot, layout, made, roles)
    created = tuple(new for change in (bindings, helpers) for new in change.created)
    place = Relocation(snapshot, layout, made.graph, moves, tuple(new.path for new in created), made.replaced)
    kernels = kernel_change(made, rewritten, place, bindings)
    program = Program(snapshot, config or Config(), layout.include_roots)
    units = tuple(new.path for new in bindings.created if new.path.endswith(UNIT_SUFFIXES))
    units += _built_by_nothing(program, layout, bindings)
    build = Change("Build files and Python")
    if group.units or _is_built(snapshot, layout):
        build = plan_build(
            snapshot, layout, group, moves,
            target=options.target, created=units, pybind=bindings.python_functions,
            python_module=bindings.python_module,
        )  # fmt: skip
    changes = (kernels, bindings, helpers, build)
    headers = (*(one.path for one in helpers.edits), *(one.path for one in helpers.created))
    styled = frozenset((*files, *made.shared, *headers))
    plan = join(snapshot, group.name, options, changes, moves, formatted=styled)
    crossing = _crossing(snapshot, layout, made.graph, group, bindings)
    notes = (
        *staying.values(),
        *autograd.diagnostics,
        *_clashes(made, layout, roles),
        *notes_on(snapshot, layout, made.graph, group),
        *crossing,
    )
    counts = {path: one.sites for path, one in rewritten.items()}
    plan = replace(plan, diagnostics=(*plan.diagnostics, *notes), sites=counts)
    plan = replace(plan, diagnostics=(*plan.diagnostics, *_lost_operators(registry, plan)))
    plan = replace(plan, diagnostics=(*plan.diagnostics, *check_plan(Planned(program, plan))))
    return _of_tree(plan, original, frozenset(autograd.files))


def _of_tree(plan: Plan, original: Snapshot, converted: Set[str]) -> Plan:
    """`plan` as changes of the tree, where some files were converted before they were read."""
    if not converted:
        return plan
    files = tuple(
        replace(one, before=original.read(one.old_path))
        if one.old_path is not None and one.old_path in converted
        else one
        for one in plan.files
    )
    return replace(plan, files=files)


def _built_by_nothing(program: Program, layout: Layout, bindings: Change) -> tuple[str, ...]:
    """The stable bindings file, where it is there already, gets registrations, and no library has it so far."""
    path = layout.stable_bindings
    is_edited = any(edit.path == path for edit in bindings.edits)
    is_known = path in program.by_unit or any(program.has_gap(library) for library in program.libraries)
    return (path,) if is_edited and not is_known else ()


def _clashes(made: GroupProject, layout: Layout, roles: Set[str]) -> tuple[Diagnostic, ...]:
    """One diagnostic for each dispatch macro that was written beside one of its name that covers other dtypes."""
    return tuple(
        Diagnostic(
            OTHER_DTYPES,
            Severity.WARNING,
            layout.stable_dispatch,
            Span(0, 0),
            f"{made.project.dispatch[name].stable} was written: its namesake covers other dtypes",
        )
        for name in made.translation.clashes
        if f"dispatch:{name}" in roles
    )


def _crossing(
    snapshot: Snapshot, layout: Layout, graph: IncludeGraph, group: Group, bindings: Change
) -> tuple[Diagnostic, ...]:
    """What would be missed by the compiler or the linker, on either side, and that `bindings` did not report."""
    said = {
        d.message.partition(" ")[0].rpartition("::")[2] for d in bindings.diagnostics if d.code == STILL_CALLED.code
    }
    return (
        *left_behind(snapshot, layout, graph, group),
        *lost_definitions(snapshot, layout, graph, group),
        *still_called(snapshot, layout, graph, group, said),
    )


def _is_built(snapshot: Snapshot, layout: Layout) -> bool:
    """Whether a build file names the stable library: where none does, nobody knows what migrated units belong to."""
    name = layout.stable_library.rpartition(".")[2].encode()
    return any(name in snapshot.read(path) for path in (*layout.cmake_files, *layout.setup_files))


def _lost_operators(registry: Registry, plan: Plan) -> tuple[Diagnostic, ...]:
    """Operators that the plan would lose or rename, or give another schema or key."""
    if any(diagnostic.code == EDITS_COLLIDE for diagnostic in plan.diagnostics):
        return ()  # said first: registrations in that file stay as they are
    lost = compare_inventories(
        registry_inventory(registry), inventory(planned_tree(registry.snapshot, plan), registry.layout)
    )
    return tuple(_with_reason(one, plan) for one in lost)


def _with_reason(lost: Diagnostic, plan: Plan) -> Diagnostic:
    """`lost` with why the operator was not written, where the bindings say so."""
    why = next((d for d in plan.diagnostics if d.code in _LOSING and _names(d.message, lost.message)), None)
    return replace(lost, help=f"{why.message}: {why.help}") if why is not None else lost


def _names(message: str, other: str) -> bool:
    """Whether `message`, which begins with an operator's name, is about the operator that `other` names."""
    name = re.match(r"[\w.]+", message)
    return name is not None and re.search(rf"::{re.escape(name[0])}(?![\w.])", other) is not None


def _with_migrated(group: Group) -> Group:
    return group._replace(units=(*group.units, *group.migrated))


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
            done = settle(_behind_mark(before, edits.get(path, ())))
        except OverlapError as error:
            span = error.second.span
            diagnostics.append(
                Diagnostic(EDITS_COLLIDE, Severity.ERROR, path, span, str(error), "edit this place by hand")
            )
            done = ()
        after = apply(before, done)
        new_path = landing.get(path, path)
        if options.format and path in formatted and path.endswith(SOURCE_SUFFIXES):
            after = format_changed(snapshot.document(path), after, style_for(snapshot, new_path))
        if after != before or new_path != path:
            files.append(FileChange(path, new_path, before, after, done))
    for new in _merged(changes):
        before_new = snapshot.read(new.path) if snapshot.exists(new.path) else None
        content = new.content
        if options.format and new.path in formatted and new.path.endswith(SOURCE_SUFFIXES):
            content = format_changed(Document(new.path, before_new or b""), content, style_for(snapshot, new.path))
        if before_new != content:
            files.append(FileChange(new.path if before_new is not None else None, new.path, before_new, content))
    return Plan(name, options.target, tuple(files), tuple(diagnostics))


def _behind_mark(before: bytes, edits: Sequence[Edit]) -> Sequence[Edit]:
    """`edits` of a file that may start with a byte order mark: it stays, and stays first."""
    if not before.startswith(BOM_UTF8):
        return edits
    size = len(BOM_UTF8)
    return [
        replace(
            edit,
            span=Span(max(edit.span.start, size), max(edit.span.end, size)),
            replacement=edit.replacement.replace(BOM_UTF8, b""),
        )
        for edit in edits
    ]


def _merged(changes: Sequence[Change]) -> tuple[NewFile, ...]:
    found: dict[str, NewFile] = {}
    for change in changes:
        for new in change.created:
            found[new.path] = new
    return tuple(found[path] for path in sorted(found))
