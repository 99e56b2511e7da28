"""Move sources from the lists of a legacy CMake target to those of the stable one, under the conditions they had."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.carriers import Carried, is_whole, leave, redirect, sorted_by_form, take_over
from torch_stabilize.buildfiles.cmake.create import StableTarget, create_target
from torch_stabilize.buildfiles.cmake.flow import CMakeProject, read_project
from torch_stabilize.buildfiles.cmake.generated import report_generated
from torch_stabilize.buildfiles.cmake.linked import modules_of
from torch_stabilize.buildfiles.cmake.lists import add_items, reindent
from torch_stabilize.buildfiles.cmake.logic import implies, residual
from torch_stabilize.buildfiles.cmake.model import Definition, Flow
from torch_stabilize.buildfiles.cmake.run import HEADERS, CMakeRun
from torch_stabilize.buildfiles.cmake.settings import ensure_settings, settings_of
from torch_stabilize.buildfiles.cmake.site import StableSite, end_of_block, find_site, is_before_helper, last_source
from torch_stabilize.buildfiles.cmake.syntax import Command, Frame
from torch_stabilize.buildfiles.cmake.text import call, wrap
from torch_stabilize.buildfiles.cmake.whole import convert_in_place
from torch_stabilize.buildfiles.cmake.widen import widen
from torch_stabilize.buildfiles.cmake.written_loops import as_they_were, in_loops, loops_to_edit
from torch_stabilize.buildfiles.codes import (
    HEADER_LISTED,
    NOT_FOUND,
    SOURCE_MOVED,
    TARGET_WIDENED,
    TWO_TARGETS,
)
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Diagnostic, FileEdit, Severity, Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.registrations import may_be_counterpart, registrations_of
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import STABLE_SUFFIX, short_name


class CMakeResult(NamedTuple):
    """`owned` are the units that a CMake target names, `created` the new sources that entered one."""

    edits: tuple[FileEdit, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    owned: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()  # the stable targets that are new
    created: frozenset[str] = frozenset()
    widened: tuple[str, ...] = ()  # devices ("HIP") that the stable target is now built for in addition
    has_stable: bool = False  # a stable target was there before


def plan_cmake(snapshot: Snapshot, moving: Moving) -> CMakeResult:
    """The edits that do what `moving` says. Raises Refusal for a CMake file with a syntax error."""
    loops = loops_to_edit(snapshot, moving)
    if not loops:
        return _plan(snapshot, moving)
    tree = snapshot.with_overlay({path: one.file.data for path, one in loops.items()})
    result = _plan(tree, in_loops(tree, moving, loops))
    edits, diagnostics = as_they_were(result.edits, result.diagnostics, loops)
    return result._replace(edits=edits, diagnostics=diagnostics)


def _plan(snapshot: Snapshot, moving: Moving) -> CMakeResult:
    layout, renames, units, created, target, later = moving
    project = read_project(snapshot, layout.cmake_files)
    edits = {path: TextEdits(path, file.data) for path, file in project.files.items()}
    run = CMakeRun(project, layout, renames, frozenset(units), target, edits)
    if layout.is_whole:
        built = convert_in_place(run, created)
        edited = tuple(edit for text in edits.values() for edit in text.edits())
        return CMakeResult(edited, tuple(run.diagnostics), built, created=frozenset(run.entered), has_stable=True)
    stable = [d for d in project.definitions if is_stable(project, layout, d)]
    in_stable = {flow.path for definition in stable for flow in project.flows(definition)}
    owned = _owners(run, [d for d in project.definitions if d not in stable], in_stable, later)
    taken = {library.stable_name for library in layout.libraries} - {layout.stable_library}
    candidates = [other for other in stable if other.name not in taken and _may_be_partner(run, other)]
    made: set[str] = set()
    for definition, flows in modules_of(run, owned).items():
        partner = _partner(run, definition, candidates, owned)
        site = find_site(project, partner) if partner else None
        if partner is None:
            new = [path for path in created if path not in in_stable]
            if layout.variants and in_stable and snapshot.exists(layout.stable_bindings):
                new = list(dict.fromkeys((layout.stable_bindings, *created)))
            name = short_name(layout.counterparts.get(definition.name, layout.stable_library))
            create_target(run, StableTarget(definition, name, tuple(new)), flows)
            leave(run, flows)
            run.entered.update(new)
            made.add(name)
        elif site is None:
            _cannot_read(run, partner, flows)
        else:
            fresh = [path for path in created if path not in (_present(run, site) if layout.variants else in_stable)]
            _fill(run, site, flows, fresh)
            run.entered.update(fresh)
    _report_headers(run, owned)
    report_generated(run, owned)
    _rename_rest(run)
    found = frozenset(flow.path for flows in owned.values() for flow in flows)
    listed = frozenset(unit for unit in units if renames[unit] in in_stable)
    edits_made = tuple(edit for text in edits.values() for edit in text.edits())
    return CMakeResult(
        edits_made, tuple(run.diagnostics), found | listed, frozenset(made), frozenset(run.entered), tuple(run.widened),
        bool(candidates) and (not made or any(one.name == short_name(layout.stable_library) for one in candidates)),
    )  # fmt: skip


def is_stable(project: CMakeProject, layout: Layout, definition: Definition) -> bool:
    """Whether a target is built for the stable ABI: by its name, or because TORCH_TARGET_VERSION is defined for it."""
    if definition.name in map(short_name, layout.counterparts.values()):
        return True
    commands = (definition.command, *settings_of(project, definition))
    return any("TORCH_TARGET_VERSION" in argument.text for command in commands for argument in command.arguments)


def _may_be_partner(run: CMakeRun, definition: Definition) -> bool:
    """Whether a stable target is the one at hand, or has a name that does not say whose it is."""
    if definition.name in map(short_name, run.layout.counterparts.values()):
        return True
    sources = [flow.path for flow in run.project.flows(definition)]
    is_named = definition.name.endswith(STABLE_SUFFIX)
    # one whose sources are not known has its own name, and says of no other library that it is its counterpart
    return not is_named and bool(sources) and may_be_counterpart(run.project.snapshot, run.layout, sources)


def _owners(
    run: CMakeRun, legacy: Sequence[Definition], in_stable: set[str], later: Set[str]
) -> dict[Definition, list[Flow]]:
    """Each unit with the legacy target it leaves. A second target of another name keeps it, and is reported."""
    members: dict[str, list[tuple[Definition, list[Flow]]]] = {}
    for definition in legacy:
        for flow in run.project.flows(definition):
            if flow.path not in run.units or (flow.path in in_stable and run.renames[flow.path] == flow.path):
                continue
            entries = members.setdefault(flow.path, [])
            if not entries or entries[-1][0] != definition:
                entries.append((definition, []))
            entries[-1][1].append(flow)
    wanted = short_name(run.layout.legacy_library)
    leaving = {wanted, *run.layout.variants}
    owned: dict[Definition, list[Flow]] = {}
    for unit, entries in members.items():
        names = [definition.name for definition, _ in entries]
        taking = {name for name in names if name in leaving} or {names[0]}
        name = wanted if wanted in names else names[0]
        for definition, flows in entries:
            if definition.name in taking:
                owned.setdefault(definition, []).extend(flows)
            elif unit not in later:
                run.report(
                    TWO_TARGETS, Severity.WARNING, definition.command.path, flows[0].item.span,
                    f"{unit} is a source of {definition.name} too, which now compiles the new file",
                    "Give each source one target, or link what both need into one library.",
                )  # fmt: skip
        if unit in in_stable:
            run.report(
                TWO_TARGETS, Severity.NOTE, entries[0][0].command.path, entries[0][1][0].item.span,
                f"{unit} was in {name} and in {short_name(run.layout.stable_library)}; the stable one keeps it",
            )  # fmt: skip
    for flows in owned.values():
        flows.sort(key=lambda flow: (flow.steps[0].path, flow.item.span))
    return owned


def _partner(
    run: CMakeRun, definition: Definition, stable: Sequence[Definition], owned: Mapping[Definition, list[Flow]]
) -> Definition | None:
    """The stable target that the sources of `definition` go to: one of the same file, or the only one there is.

    Of libraries of one file of bindings, each has its own; so has one that each arm of an `if` defines.
    """
    layout = run.layout
    if layout.variants:
        stable = [other for other in stable if other.name == short_name(layout.counterparts.get(definition.name, ""))]
    frames = definition.command.frames
    if any(_is_apart(other.command.frames, frames) for other in owned if other.name == definition.name):
        stable = [other for other in stable if not _is_apart(other.command.frames, frames)]
    same_file = [other for other in stable if other.command.path == definition.command.path]
    if same_file:
        return same_file[0]
    namesakes = [other for other in owned if other.name == definition.name]
    elsewhere = [other for other in stable if not _is_of_another_build(run, other)]
    return elsewhere[0] if elsewhere and len(namesakes) == 1 else None


def _is_of_another_build(run: CMakeRun, stable: Definition) -> bool:
    """Whether a stable target has bindings, and none of the library that migrates: a build of another kind has it."""
    sources = {flow.path for flow in run.project.flows(stable)}
    snapshot = run.project.snapshot
    found = (registrations_of(snapshot, path) for path in sorted(sources) if snapshot.exists(path))
    return run.layout.stable_bindings not in sources and any(one is not None and one.stable for one in found)


def _is_apart(first: Sequence[Frame], second: Sequence[Frame]) -> bool:
    """Whether two calls are in different arms of one `if`."""
    arms = {frame.block: frame.arm for frame in first}
    return any(arms.get(frame.block, frame.arm) != frame.arm for frame in second)


def _cannot_read(run: CMakeRun, partner: Definition, flows: Sequence[Flow]) -> None:
    lines = "\n".join(f'  "{run.new_text(flow)}"' for flow in flows)
    run.report(
        NOT_FOUND, Severity.ERROR, partner.command.path, partner.command.span,
        f"the sources of {partner.name} are computed in a way that cannot be followed: nothing was moved",
        f"Take these sources out of {flows[0].definition.name} and give {partner.name}:\n{lines}",
    )  # fmt: skip


def _fill(run: CMakeRun, site: StableSite, flows: list[Flow], created: Sequence[str]) -> None:
    """Move `flows` to a stable target that exists."""
    domains = run.project.domains
    if not all(implies(flow.conditions, site.conditions, domains) for flow in flows):
        site = widen(run, site, flows)
    finals, carriers = sorted_by_form(flows)
    additions: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    if created:
        folder = posixpath.dirname(run.layout.stable_bindings)
        sources = [p for p in created if p.startswith(folder)] or list(created)
        texts = [_write_path(run, site, path) for path in sources]
        add_items(site.file, site.start, texts, last_source(site.start), run.edits[site.file.path], SOURCE_MOVED)
    placed: dict[Command, list[str]] = {}
    for flow in finals:
        text = run.new_text(flow, site.file.path)
        if flow.path.endswith(HEADERS) or run.renames[flow.path] in _present(run, site):
            continue
        conditions = (*site.conditions, *residual(flow.conditions, site.conditions, domains))
        before = is_before_helper(run.project, flow, flow.steps[0])
        command = site.list_for(conditions, before_helpers=before)
        if command is not None:
            placed.setdefault(command, []).append(text)
        else:
            additions.setdefault((residual(conditions, site.conditions, domains), before), []).append(text)
    for command, texts in placed.items():
        add_items(site.file, command, texts, last_source(command), run.edits[site.file.path], SOURCE_MOVED)
    for (conditions, before), texts in additions.items():
        _new_block(run, site, conditions, texts, before)
    for carried in carriers:
        _move_carrier(run, site, carried)
    for text in run.at_anchor:
        run.edits[site.file.path].insert(site.anchor, text, TARGET_WIDENED)
    run.at_anchor.clear()
    leave(run, finals)
    ensure_settings(run, site, flows)


def _write_path(run: CMakeRun, site: StableSite, path: str) -> str:
    """A new source, written the way the list writes its neighbours."""
    last = last_source(site.start)
    if last is not None:
        neighbour = run.project.resolve(last.items[-1].text, site.file.path)
        if neighbour:
            return run.project.rewrite_path(last.items[-1].text, neighbour, path, site.file.path)
    return posixpath.relpath(path, run.project.source_dir(site.file.path) or ".")


def _present(run: CMakeRun, site: StableSite) -> frozenset[str]:
    return frozenset(flow.path for flow in run.project.flows(site.definition))


def _new_block(
    run: CMakeRun, site: StableSite, conditions: Sequence[str], texts: Sequence[str], before_helpers: bool
) -> None:
    """Sources under a condition that the stable side does not have yet."""
    file = site.file
    indent = file.indent(site.start.span.start)
    quoted = [f'"{text}"' for text in texts]
    if site.variable:
        body = call("list", ["APPEND", site.variable], quoted, indent)
        if not before_helpers:
            run.edits[file.path].insert(site.anchor, wrap(conditions, body, indent) + "\n", SOURCE_MOVED)
            return
        limit = site.helper.span.start if site.helper else site.definition.command.span.start
        lists = [command for command in site.list_commands() if command.span.start < limit]
        last = max(lists, key=lambda command: command.span.start)
        deeper = last.frames[len(site.frames) :]
        end = file.line_end((deeper[0].block.span if deeper else last.span).end)
    else:
        body = call("target_sources", [site.definition.name, "PRIVATE"], quoted, indent)
        end = file.line_end(site.definition.command.span.end)
    run.edits[file.path].insert(end, "\n" + wrap(conditions, body, indent), SOURCE_MOVED)


def _move_carrier(run: CMakeRun, site: StableSite, flows: list[Flow]) -> None:
    """A list of its own that carries sources to the legacy list, with what is done to them on the way."""
    join = flows[0].steps[1]
    in_place = site.variable and site.in_zone(join) and all(site.in_zone(flow.steps[0]) for flow in flows)
    if in_place and is_whole(run, flows):
        redirect(run, site.variable, flows)
        return
    joins = f"list(APPEND {site.variable}" if site.variable else f"target_sources({site.definition.name} PRIVATE"
    before = is_before_helper(run.project, flows[0], join)
    taken = take_over(run, flows, joins, site.conditions, site.frames, site.place(before_helpers=before))
    _place(run, site, taken, before and site.helper is not None)


def _place(run: CMakeRun, site: StableSite, taken: Carried, before_helpers: bool) -> None:
    """Put a block where those of the stable target go, inside a block of the same condition if there is one."""
    file = site.file
    edits = run.edits[file.path]
    indent = file.indent(site.start.span.start)
    conditions = taken.conditions
    text = reindent(taken.text, taken.indent, indent)
    if site.opened is not None and before_helpers:
        edits.insert(site.place(before_helpers=True), wrap(conditions, text, indent) + "\n", SOURCE_MOVED)
        return
    if site.opened is not None:
        narrow = site.conditions_all()
        conditions = residual(conditions, narrow, run.project.domains)
        if implies(taken.conditions, narrow, run.project.domains):
            edits.insert(site.anchor, wrap(conditions, text, indent) + "\n", SOURCE_MOVED)
        else:
            run.at_anchor.append(wrap(taken.conditions, text, indent) + "\n")
        return
    block = site.block_for(conditions, before_helpers=before_helpers) if conditions else None
    if block is not None:
        at, inner = end_of_block(file, block)
        edits.insert(at, "\n" + reindent(taken.text, taken.indent, inner), SOURCE_MOVED)
        return
    at = site.place(before_helpers=before_helpers) if site.variable else file.line_end(site.definition.command.span.end)
    text = wrap(conditions, text, indent)
    edits.insert(at, text + "\n" if site.variable else "\n" + text, SOURCE_MOVED)


def _report_headers(run: CMakeRun, owned: Mapping[Definition, list[Flow]]) -> None:
    """Headers in the lists of the targets concerned: CMake does not need them, and they have moved or will."""
    for definition in owned:
        for flow in run.project.flows(definition):
            if flow.path.endswith(HEADERS) and not flow.glob:
                run.report(
                    HEADER_LISTED, Severity.NOTE, flow.steps[0].path, flow.item.span,
                    f"{flow.path} is a header in the sources of {definition.name}",
                    "Take headers out of source lists: they are found through what includes them.",
                )  # fmt: skip


def _rename_rest(run: CMakeRun) -> None:
    """Every other place that names a moved file: properties per source, generators, headers, other targets."""
    for file in run.project.files.values():
        for span, text in run.moved_items(file, Span(0, len(file.data))).items():
            if (file.path, span) not in run.handled:
                run.edits[file.path].replace(span, text, SOURCE_MOVED)
