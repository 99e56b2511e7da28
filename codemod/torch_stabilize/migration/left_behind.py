"""What units that move need of what stays, and the other way round: the compiler and the linker would miss it."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable, Iterator, Set

from torch_stabilize.bindings.codes import LEFT_BEHIND, STILL_CALLED
from torch_stabilize.bindings.reading.read import binding_spans
from torch_stabilize.layout.decide import is_elsewhere
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.program.besides import needed_besides
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.document import UNIT_SUFFIXES
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.source.heads import may_declare, may_define, names_called
from torch_stabilize.source.signatures import Function, read_signatures


def left_behind(snapshot: Snapshot, layout: Layout, graph: IncludeGraph, group: Group) -> tuple[Diagnostic, ...]:
    """One diagnostic for each unit that stays and that the units of `group` need: the stable library would not load.

    A function counts where a header that both sides include declares it, and where the header of one side declares the
    very name that the other defines.
    """
    moving = {*group.units, *group.migrated}
    headers = {unit: graph.closure(graph.direct(unit)) for unit in group.units}
    called = {unit: names_called(snapshot.document(unit).code) for unit in group.units}
    wanted: dict[str, set[str]] = {}  # names by the headers that have them
    for header in set().union(*headers.values()):
        if snapshot.exists(header):
            users = [called[unit] for unit, found in headers.items() if header in found]
            wanted[header] = names_called(snapshot.read(header)).intersection(set().union(*users))
    asked: dict[str, set[str]] = {}  # what is called by those who include a header
    for unit, found in headers.items():
        for header in found:
            asked.setdefault(header, set()).update(called[unit])
    declared = _declared(snapshot, asked)
    ours = FunctionIndex([snapshot.document(p) for p in (*moving, *group.moving_headers) if snapshot.exists(p)])
    declared = {qualified: name for qualified, name in declared.items() if not _defines(ours, name)}
    diagnostics = []
    for path in _staying(snapshot, layout, moving):
        theirs = graph.closure(graph.direct(path))
        names = {name for header in theirs for name in wanted.get(header, ())}
        defined = sorted({*(_defined(snapshot, path, names) if names else ()), *_by_name(snapshot, path, declared)})
        lost = {name for name in defined if not _defines(ours, name)}
        if lost:
            user = next(unit for unit in group.units if called[unit] & lost)
            listed = ", ".join(sorted(lost))
            diagnostics.append(
                Diagnostic(
                    LEFT_BEHIND.code, Severity.ERROR, path, Span(0, 0),
                    f"{user} moves and needs {listed}, defined in {path}, which stays",
                    f"Migrate {path} in the same group, or give it to {layout.stable_library} too.",
                )
            )  # fmt: skip
    return tuple(diagnostics)


def _staying(snapshot: Snapshot, layout: Layout, moving: Container[str]) -> Iterator[str]:
    """The legacy units of the extension that do not move."""
    for path in snapshot.below(layout.source_root, UNIT_SUFFIXES):
        if path not in moving and not layout.is_stable(path) and not is_elsewhere(snapshot, layout, path):
            yield path


def _declared(snapshot: Snapshot, called: dict[str, set[str]]) -> dict[str, str]:
    """The functions that headers declare and units call, by qualified name; `called` has what is called by header."""
    return {
        function.qualified: function.name
        for header, names in called.items()
        if snapshot.exists(header) and may_declare(snapshot.document(header), names)
        for function in read_signatures(snapshot.document(header))
        if not function.is_definition and not function.is_device and function.name in names
    }


def _by_name(snapshot: Snapshot, path: str, declared: dict[str, str]) -> set[str]:
    """The functions of `declared` that `path` defines, whatever it includes."""
    data = snapshot.read(path)
    if not any(name.encode() in data for name in declared.values()):
        return set()
    functions = read_signatures(snapshot.document(path))
    return {f.name for f in functions if f.is_definition and not f.is_local and f.qualified in declared}


def still_called(
    snapshot: Snapshot, layout: Layout, graph: IncludeGraph, group: Group, known: Iterable[str] = ()
) -> tuple[Diagnostic, ...]:
    """One diagnostic for each file that stays and calls functions of units that move, which would not link.

    A function counts where a header declares it that the caller sees. `known` are functions of which this was said.
    """
    moving = {*group.units, *group.moving_headers}
    defined = {name for unit in group.units for name in _defined_names(snapshot, unit)} - set(known)
    words = frozenset(name.encode() for name in defined)

    @functools.cache
    def names_one(path: str) -> bool:
        return snapshot.exists(path) and not words.isdisjoint(snapshot.document(path).words)

    @functools.cache
    def declared_by(path: str) -> frozenset[str]:
        document = snapshot.document(path)
        functions = read_signatures(document) if may_declare(document, defined) else ()
        return frozenset(f.name for f in functions if not f.is_definition and f.name in defined)

    callers: dict[str, set[str]] = {}
    for path in _staying(snapshot, layout, moving):
        if path in layout.other_builds:
            continue
        seen = [p for p in graph.closure((path,)) if p not in moving and not layout.is_stable(p) and names_one(p)]
        declared = frozenset[str]().union(*map(declared_by, seen))
        users = [p for p in seen if any(name.encode() in snapshot.document(p).words for name in declared)]
        missing = declared - {name for p in users for name in _defined_names(snapshot, p)}
        for caller in users if missing else ():
            called = _called_in_bodies(snapshot, caller) & missing
            if called:
                callers.setdefault(caller, set()).update(called)
    return tuple(
        Diagnostic(
            STILL_CALLED.code, Severity.ERROR, caller, Span(0, 0),
            f"{', '.join(sorted(names))}: called here, and defined in units that move to the stable library",
            "Migrate this file in the same group, or keep a legacy definition.", ", ".join(sorted(names)),
        )
        for caller, names in sorted(callers.items())
    )  # fmt: skip


def lost_definitions(snapshot: Snapshot, layout: Layout, graph: IncludeGraph, group: Group) -> tuple[Diagnostic, ...]:
    """One diagnostic for each file that moves and loses what a header of declarations defines besides them.

    The header of the stable declarations takes its place, which has the declarations and nothing else.
    """
    found = []
    for path in group.files:
        for header, lost in needed_besides(snapshot, graph, layout.legacy_declarations, path).items():
            names = ", ".join(name.decode() for name in lost)
            found.append(
                Diagnostic(
                    LEFT_BEHIND.code, Severity.ERROR, path, Span(0, 0),
                    f"this moves and needs {names}, defined in {header}, whose declarations alone move",
                    "Put it into a header of its own that both include.",
                )
            )  # fmt: skip
    return tuple(found)


def _called_in_bodies(snapshot: Snapshot, path: str) -> set[str]:
    document = snapshot.document(path)
    blocks = binding_spans(document)  # whose statements are the bindings' business
    bodies = [f.body for f in read_signatures(document) if f.body and not any(b.contains(f.body) for b in blocks)]
    return {name for body in bodies for name in names_called(document.code[body.start : body.end])}


def _defined(snapshot: Snapshot, path: str, names: Iterable[str]) -> Set[str]:
    """Those of `names` that the unit at `path` defines for others to call."""
    wanted = frozenset(names)
    return wanted & _defined_names(snapshot, path) if may_define(snapshot.document(path), wanted) else frozenset()


def _defines(functions: FunctionIndex, name: str) -> bool:
    """Whether `name` is defined for others to call."""
    return any(_is_callable(function) for _, function in functions.named(name))


def _defined_names(snapshot: Snapshot, path: str) -> set[str]:
    if not snapshot.exists(path):
        return set()
    functions = read_signatures(snapshot.document(path))
    return {function.name for function in functions if _is_callable(function)}


def _is_callable(function: Function) -> bool:
    """Whether other units can call what is defined."""
    return function.is_definition and not function.is_local and not function.is_device
