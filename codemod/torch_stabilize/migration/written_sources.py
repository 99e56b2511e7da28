"""A plan for sources that scripts write.

Files stand in for them while it is made, and what becomes of those is done to the scripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from posixpath import basename, dirname

from torch_stabilize.buildfiles.codes import GENERATOR_LISTED
from torch_stabilize.buildfiles.written import Script, Written, find_written
from torch_stabilize.config import Config
from torch_stabilize.model import Change, Diagnostic, Move, Plan, Severity, Span
from torch_stabilize.program.groups import with_headers
from torch_stabilize.program.units import Units
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import include_graph
from torch_stabilize.source.edits import apply


def with_stand_ins(snapshot: Snapshot, layout: Layout, config: Config) -> tuple[Snapshot, Mapping[str, str]]:
    """The tree with files that stand in for what scripts write, and the script of each of them."""
    absent = [one for one in find_written(snapshot, layout) if not one.is_here]
    if not absent:
        return snapshot, {}
    graph = include_graph(snapshot, layout, config)
    files = {one.source: _content(graph, one) for one in absent}
    return snapshot.with_overlay(files), {one.source: one.script.path for one in absent}


def _content(graph: IncludeGraph, written: Written) -> bytes:
    """The include lines of the script that mean files of the repository."""
    lines = []
    for spelled in written.script.includes:
        if graph.resolve(written.source, spelled[1:-1], quoted=spelled.startswith('"')) is not None:
            lines.append(f"#include {spelled}\n")
    return "".join(lines).encode()


def with_written(
    snapshot: Snapshot, layout: Layout, config: Config, group: Group, stand_ins: Iterable[str]
) -> tuple[Group, tuple[Diagnostic, ...]]:
    """`group` with the written sources that belong to it: its units alone see the headers that these include.

    Where others see them too, what is written stays, and that is reported.
    """
    units = Units(snapshot, layout, config)
    known = {one.source: one for one in find_written(snapshot, layout) if one.source in stand_ins}
    others = set(units.all) - set(stand_ins)
    joining, found = list[str](), list[Diagnostic]()
    for path, one in known.items():
        users = _users(units, one.script, path, others)
        if users and users <= set(group.units):
            joining.append(path)
        elif users & set(group.units):
            found.append(_staying(one, layout, users - set(group.units)))
    if joining:
        more = with_headers(units, group.name, tuple(sorted({*group.units, *joining})), group.migrated)
        group = more._replace(registrations=group.registrations)
    return group, tuple(found)


def _staying(written: Written, layout: Layout, users: Iterable[str]) -> Diagnostic:
    return Diagnostic(
        GENERATOR_LISTED, Severity.ERROR, written.script.path, Span(0, 0),
        f"{written.pattern} is written by this script for units that move and for {', '.join(sorted(users))}, "
        f"and stays with {layout.legacy_library}",
        "Ask for those units too, and the script moves with all of them.",
    )  # fmt: skip


def _users(units: Units, script: Script, source: str, others: set[str]) -> set[str]:
    """The units of `others` that see a header which `source` includes too, or one that the script writes.

    Headers next to the script or its sources tell, others where there are none of these.
    """
    graph = units.graph
    headers = graph.direct(source)
    folders = tuple({f"{dirname(script.path)}/", f"{dirname(source)}/"})
    headers = tuple(header for header in headers if header.startswith(folders)) or headers
    found = {unit for header in headers for unit in graph.units_reaching(header)}
    written = set(script.headers)
    for unit in others if written else ():
        missing = (include.name for include in graph.includes(unit) if include.target is None)
        if unit.startswith(folders) and any(basename(name) in written for name in missing):
            found.add(unit)
    return found & others


def scripts_of(snapshot: Snapshot, layout: Layout, group: Group) -> tuple[Script, ...]:
    """The scripts that write units of `group`, and no others."""
    written = find_written(snapshot, layout)
    ours = {one.script.path for one in written if one.source in group.units}
    theirs = {one.script.path for one in written if one.source not in (*group.units, *group.migrated)}
    return tuple({one.script.path: one.script for one in written if one.script.path in ours - theirs}.values())


def staying_sources(snapshot: Snapshot, layout: Layout, group: Group) -> frozenset[str]:
    """The written units of `group` whose place is not that of their script: they are written where they were."""
    moving = {script.path for script in scripts_of(snapshot, layout, group) if script.writes_next_to_itself}
    written = find_written(snapshot, layout)
    return frozenset(one.source for one in written if one.source in group.units and one.script.path not in moving)


def script_moves(layout: Layout, scripts: Sequence[Script]) -> tuple[Move, ...]:
    """Scripts and their templates on the way to the stable folder, as what they write is written next to them."""
    root = f"{layout.source_root}/" if layout.source_root else ""
    paths = [path for one in scripts if one.writes_next_to_itself for path in (one.path, *one.templates)]
    moving = (path for path in paths if path.startswith(root) and layout.landing(path) != path)
    return tuple(Move(path, layout.landing(path)) for path in moving)


def respelled(
    snapshot: Snapshot, layout: Layout, scripts: Sequence[Script], kernels: Change
) -> Mapping[str, Mapping[str, str]]:
    """For each of `scripts`, and its templates, the include lines that become others, as its units have in `kernels`.

    Modules that they import, and no other script, are there too, without any.
    """
    theirs = (one.script for one in find_written(snapshot, layout) if one.script not in scripts)
    others = {module for script in theirs for module in script.modules}
    found: dict[str, dict[str, str]] = {path: {} for one in scripts for path in (one.path, *one.templates)}
    found |= {path: {} for one in scripts for path in one.modules if path not in others}
    for one in find_written(snapshot, layout):
        if one.script not in scripts:
            continue
        before = snapshot.read(one.source)
        after = apply(before, [edit.edit for edit in kernels.edits if edit.path == one.source])
        old, new = _spelled(before), _spelled(after)
        changed = {a: b for a, b in zip(old, new, strict=False) if a != b} if len(old) == len(new) else {}
        for path in (one.script.path, *one.script.templates):
            found[path].update(changed)
    return found


def _spelled(data: bytes) -> list[str]:
    return [line.split(maxsplit=1)[1].strip() for line in data.decode().splitlines() if line.startswith("#include ")]


def without_stand_ins(plan: Plan, stand_ins: Mapping[str, str]) -> Plan:
    """`plan` for the tree as it is; what concerns a file that only stood in is told of its script."""
    if not stand_ins:
        return plan
    files = tuple(one for one in plan.files if one.old_path not in stand_ins)
    told = (
        replace(one, path=stand_ins[one.path], span=Span(0, 0)) if one.path in stand_ins else one
        for one in plan.diagnostics
    )
    sites = {path: count for path, count in plan.sites.items() if path not in stand_ins}
    return replace(plan, files=files, diagnostics=tuple(dict.fromkeys(told)), sites=sites)
