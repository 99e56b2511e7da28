"""One migration as a plan: every room is asked for its change, and the changes are joined into files.

Nothing here writes. The plan is a function of the bytes that were read and of the options.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch_stabilize.bindings.autograd.convert import convert_autograd
from torch_stabilize.bindings.codes import STILL_CALLED
from torch_stabilize.bindings.notes import notes_on
from torch_stabilize.bindings.plan import plan_bindings
from torch_stabilize.bindings.reading.registry import Registry, registry_of
from torch_stabilize.buildfiles.plan import plan_build
from torch_stabilize.config import Config
from torch_stabilize.includes.relocate import Relocation
from torch_stabilize.layout.decide import decide
from torch_stabilize.layout.decision import Decision
from torch_stabilize.layout.nearest import layout_for
from torch_stabilize.layout.read import Program
from torch_stabilize.layout.variants import with_variants
from torch_stabilize.migration.asked_shared import without_shared
from torch_stabilize.migration.coming_along import Along, come_along, with_both
from torch_stabilize.migration.composed import compose
from torch_stabilize.migration.emptied import without_emptied
from torch_stabilize.migration.helper_files import plan_helpers
from torch_stabilize.migration.join import formatted, join
from torch_stabilize.migration.kept_back import without_kept_back
from torch_stabilize.migration.kernels import kernel_change, rewrite_files, without_classes
from torch_stabilize.migration.left_behind import left_behind, lost_definitions, still_called
from torch_stabilize.migration.lost_operators import lost_operators
from torch_stabilize.migration.placed import placed
from torch_stabilize.migration.project import GroupProject, make_project
from torch_stabilize.migration.registered_lambdas import registered_lambdas
from torch_stabilize.migration.second_look import both, is_more_of, is_worth_a_look, landed, not_parsed, origins
from torch_stabilize.migration.written_sources import (
    respelled,
    script_moves,
    scripts_of,
    staying_sources,
    with_stand_ins,
    with_written,
    without_stand_ins,
)
from torch_stabilize.model import (
    DEFAULT_TARGET,
    Change,
    Diagnostic,
    Move,
    Plan,
    Refusal,
    Severity,
    Span,
)
from torch_stabilize.program.check import check_plan
from torch_stabilize.program.forms import (
    is_in_place,
    joined,
    place_group,
    registrations_note,
    split_note,
)
from torch_stabilize.program.groups import resolve_group, with_headers
from torch_stabilize.program.planned import Planned, planned_tree
from torch_stabilize.program.units import Units
from torch_stabilize.repository.codes import CALLED_THROUGH_OPERATOR
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Form, Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.rules.differences import differences
from torch_stabilize.rules.dispatch_macros import OTHER_DTYPES
from torch_stabilize.source.document import SOURCE_SUFFIXES, UNIT_SUFFIXES
from torch_stabilize.source.parsable import refuse_unparsable, refuse_unwritable

_MOST_LOOKS = 4


@dataclass(frozen=True)
class Options:
    """How a group is migrated: `target` is the oldest torch that must run the result, `headers` the one that builds it.

    Without `headers` nothing is used that the headers of the target lack. `in_place` leaves files where they are; None
    is what is configured, else what the repository did so far.
    """

    target: str = DEFAULT_TARGET
    in_place: bool | None = None
    headers: str = ""
    format: bool = True


def plan_migration(
    snapshot: Snapshot, layout: Layout, group: Group, options: Options, config: Config | None = None
) -> Plan:
    """What migrating `group` would do. Raises Refusal where a file cannot be read or edited."""
    if not (*group.files, *group.migrated):
        return Plan(group.name, options.target)
    config = config or Config()
    tree, stand_ins = with_stand_ins(snapshot, layout, config)
    group, told = with_written(tree, layout, config, group, stand_ins) if stand_ins else (group, ())
    plan = _whole_plan(tree, layout, group, options, config)
    plan = replace(plan, diagnostics=(*told, *plan.diagnostics))
    return without_stand_ins(plan, stand_ins)


def _whole_plan(snapshot: Snapshot, layout: Layout, group: Group, options: Options, config: Config) -> Plan:
    """All parts of `group` as one plan that is formatted and checked."""
    made = _settled(_parts_together(snapshot, layout, group, options, config), group, options)
    if made.plan.files:
        made = made._replace(plan=without_emptied(made.program, layout, made.plan))
    plan = formatted(made.plan, made.program.snapshot, made.styled) if options.format else made.plan
    if made.registry is not None:
        plan = replace(plan, diagnostics=(*plan.diagnostics, *lost_operators(made.registry, plan)))
    checked = (*check_plan(Planned(made.program, plan)), *not_parsed(plan, made.program.snapshot), *differences(plan))
    plan = replace(plan, diagnostics=(*plan.diagnostics, *checked))
    return _of_tree(plan, snapshot, made.converted)


class _Made(NamedTuple):
    """What one part, or all of them, came to, not formatted yet.

    `program` is the tree that `plan` starts from, `styled` are files to be formatted by their paths in it, `converted`
    those that were not as `program` has them, `registry` is what the operators are compared with, where they were not.
    """

    program: Program
    plan: Plan
    styled: frozenset[str] = frozenset()
    converted: frozenset[str] = frozenset()
    registry: Registry | None = None


def _parts_together(snapshot: Snapshot, layout: Layout, group: Group, options: Options, config: Config) -> _Made:
    """The plan of `group`, part by part where it has several."""
    options = replace(options, target=options.target or DEFAULT_TARGET)
    program = Program(snapshot, config, layout.include_roots)
    options = replace(options, in_place=is_in_place(program, layout, options.in_place, group.units))
    group, told = (group, ()) if options.in_place else without_shared(program, layout, group)
    if group.files or group.migrated:
        made = _of_request(program, layout, group, options)
    else:
        made = _Made(program, Plan(group.name, options.target))
    return made._replace(plan=replace(made.plan, diagnostics=(*told, *made.plan.diagnostics)))


def _of_request(program: Program, layout: Layout, group: Group, options: Options) -> _Made:
    """The plan of `group`, of which nothing stays."""
    decision = decide(program, layout, group.units)
    if options.in_place and len(decision.parts) > 1:
        decision = Decision(joined(program, layout, group, decision.parts))
    if len(decision.parts) >= 2:
        return _plan_parts(program, layout, decision, group, options)
    own = with_variants(program, layout.for_units(group.units or group.migrated))
    along = _along(program, Units(program.snapshot, own, program.config), group, options)
    return _plan_part(program, own, along, options)


def _settled(made: _Made, group: Group, options: Options) -> _Made:
    """`made`, with what a second migration would do where it may see more than the first: in code that is broken.

    Raises Refusal where that comes to no end.
    """
    config = made.program.config
    for _ in range(_MOST_LOOKS):
        if not is_worth_a_look(made.plan, made.program.snapshot):
            return made
        tree = planned_tree(made.program.snapshot, made.plan)
        names = landed(made.plan, group, tree)
        if not names:
            return made
        again = _second_run(tree, config, names, options)
        if again is None or again.plan.is_empty or not is_more_of(again.plan, made.plan):
            return made
        then = origins(made.plan)
        styled = {then.get(path, path) for path in again.styled}
        made = made._replace(plan=both(made.plan, again.plan), styled=made.styled | styled)
    raise Refusal(f"{group.files[0]}: cannot be read: a migration of what comes out would change it again and again")


def _second_run(tree: Snapshot, config: Config, names: tuple[str, ...], options: Options) -> _Made | None:
    """What migrating `names` in `tree` would do, None where it would be refused."""
    try:
        layout = layout_for(tree, config, names)
        return _parts_together(tree, layout, resolve_group(tree, layout, config, names), options, config)
    except Refusal:
        return None


def _plan_parts(program: Program, layout: Layout, decision: Decision, group: Group, options: Options) -> _Made:
    """The parts of a request one after another, each in the tree that those before it leave."""
    snapshot, config = program.snapshot, program.config
    plan = Plan(group.name, options.target)
    styled: set[str] = set()
    layouts = [with_variants(program, part.layout(layout)) for part in decision.parts]
    wholes = [Units(snapshot, own, config) for own in layouts]
    parts = [
        _along(program, whole, with_headers(whole, group.name, part.units, group.migrated), options)
        for whole, part in zip(wholes, decision.parts, strict=True)
    ]
    for place, (own, along) in enumerate(zip(layouts, parts, strict=True)):
        tree = planned_tree(snapshot, plan)
        now = {one.old_path: one.new_path for one in plan.files if one.old_path and one.new_path}
        units = tuple(now.get(unit, unit) for unit in along.group.units)
        later = frozenset(now.get(unit, unit) for other in parts[place + 1 :] for unit in other.group.units)
        members = with_headers(Units(tree, own, config), group.name, units, group.migrated)
        along = along._replace(group=members)
        made = _plan_part(Program(tree, config, own.include_roots), own, along, options, later)
        after = _of_tree(made.plan, tree, made.converted)
        if made.registry is not None:
            after = replace(after, diagnostics=(*after.diagnostics, *lost_operators(made.registry, made.plan)))
        then = {new: old for old, new in now.items()}
        styled |= {then.get(path, path) for path in made.styled}
        plan = compose(plan, after)
    return _Made(program, plan, frozenset(styled))


def _along(program: Program, units: Units, group: Group, options: Options) -> Along:
    """`group` with what has to move along with it: nothing where its library is converted as a whole."""
    placement = place_group(program, units.layout, group, in_place=bool(options.in_place))
    if placement.form is Form.WHOLE_IN_PLACE:
        return Along(group, (), ())
    along = come_along(program, units, group)
    return along._replace(group=along.group._replace(registrations=group.registrations))


def _plan_part(
    program: Program, layout: Layout, along: Along, options: Options, later: Set[str] = frozenset()
) -> _Made:
    """What the units of one library take; `later` are units that other parts of the request take out of theirs."""
    along = without_kept_back(program, layout, along, options.target)
    snapshot, config, group = program.snapshot, program.config, along.group
    in_place = bool(options.in_place)
    placement = place_group(program, layout, group, in_place=in_place)
    layout, group = placed(program, layout, group, placement)
    files = (*group.files, *group.migrated)
    autograd = convert_autograd(registry_of(snapshot, layout), group)
    if autograd.files:  # the rest reads what replaces the autograd functions
        snapshot = snapshot.with_overlay(autograd.files)
        program = Program(snapshot, config, layout.include_roots)
    # what declares ops and moves as a whole, or is needed on both sides, is a header like others
    others = (*group.moving_headers, *group.shared_headers)
    declarations = tuple(path for path in layout.legacy_declarations if path not in others)
    layout = replace(layout, legacy_declarations=declarations)
    if along.both and not layout.is_whole:
        group = with_both(Units(snapshot, layout, config), group, along.both)
    made = make_project(snapshot, layout, _with_migrated(group), options.target, config, options.headers)
    scripts = scripts_of(snapshot, layout, group)
    moves = () if in_place else (*_moves(snapshot, layout, group), *script_moves(layout, scripts))
    rewritten = without_classes(rewrite_files(made, files), autograd.diagnostics)
    registry = registry_of(snapshot, layout)
    lambdas = registered_lambdas(registry, group, made, rewritten)
    bindings = plan_bindings(
        registry, group, target=options.target, lambdas=lambdas.stable, backwards=autograd.backwards
    )
    roles = frozenset(role for one in rewritten.values() for role in one.helpers) | lambdas.roles
    helpers = plan_helpers(snapshot, layout, made, roles)
    created = tuple(new for change in (bindings, helpers) for new in change.created)
    new_paths = tuple(new.path for new in created)
    place = Relocation(snapshot, layout, made.graph, moves, new_paths, made.replaced, frozenset(group.files))
    kernels = kernel_change(made, rewritten, place, bindings)
    units = tuple(new.path for new in bindings.created if new.path.endswith(UNIT_SUFFIXES))
    units += (*_built_by_nothing(program, layout, bindings), *along.shared)
    build = Change("Build files and Python")
    if group.units or _is_built(snapshot, layout):
        build = plan_build(
            snapshot, layout, group, moves,
            target=options.target, created=units, pybind=bindings.python_functions,
            bound_by=bindings.bound_by, python_module=bindings.python_module, later=later,
            scripts=respelled(snapshot, layout, scripts, kernels),
        )  # fmt: skip
    changes = (kernels, bindings, helpers, build)
    headers = (*(one.path for one in helpers.edits), *(one.path for one in helpers.created))
    styled = frozenset((*files, *made.shared, *headers))
    plan = join(snapshot, group.name, options.target, changes, moves)
    for file in plan.files:
        if file.old_path is not None and file.old_path.endswith(SOURCE_SUFFIXES) and file.edits:
            refuse_unparsable(snapshot.document(file.old_path))
            refuse_unwritable(snapshot.document(file.old_path), file.after or b"")
    linked = group._replace(migrated=(*group.migrated, *along.shared))
    # what is converted as a whole stays in one library
    crossing = () if layout.is_whole else _crossing(snapshot, layout, made.graph, linked, bindings)
    is_split = placement.form is Form.SPLIT_IN_PLACE and bool(group.units)
    notes = (
        *((split_note(placement, layout, group),) if is_split else ()),
        *map(registrations_note, group.registrations),
        *along.diagnostics,
        *autograd.diagnostics,
        *_clashes(made, layout, roles),
        *notes_on(snapshot, layout, made.graph, group),
        *crossing,
    )
    counts = {path: one.sites for path, one in rewritten.items()}
    plan = replace(plan, diagnostics=(*plan.diagnostics, *notes), sites=counts, callables=bindings.callables)
    return _Made(program, plan, styled, frozenset(autograd.files), registry)


def _moves(snapshot: Snapshot, layout: Layout, group: Group) -> tuple[Move, ...]:
    """Where the files of `group` land; what a script writes where it always did has no other place."""
    staying = staying_sources(snapshot, layout, group)
    moving = [path for path in group.files if path not in staying and layout.landing(path) != path]
    for path in moving:
        if snapshot.exists(layout.landing(path)) and layout.landing(path) not in moving:
            raise Refusal(f"{layout.landing(path)} is in the way: {path} would move there. Rename one of them first.")
    return tuple(Move(path, layout.landing(path)) for path in moving)


def _of_tree(plan: Plan, original: Snapshot, converted: Set[str]) -> Plan:
    """`plan` as changes of the tree, where some files were converted before they were read."""
    if not converted:
        return plan
    files = tuple(
        replace(one, before=original.read(one.old_path), edited=one.before)
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
    """One diagnostic for each dispatch macro that was written next to one of its name that covers other dtypes."""
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
    said = {d.subject for d in bindings.diagnostics if d.code in (STILL_CALLED.code, CALLED_THROUGH_OPERATOR)}
    return (
        *left_behind(snapshot, layout, graph, group),
        *lost_definitions(snapshot, layout, graph, group),
        *still_called(snapshot, layout, graph, group, said),
    )


def _is_built(snapshot: Snapshot, layout: Layout) -> bool:
    """Whether a build file names the stable library: where none does, what migrated units belong to is unknown."""
    name = layout.stable_library.rpartition(".")[2].encode()
    return any(name in snapshot.read(path) for path in (*layout.cmake_files, *layout.setup_files))


def _with_migrated(group: Group) -> Group:
    return group._replace(units=(*group.units, *group.migrated))
