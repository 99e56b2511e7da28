"""Units whose Python module holds what no operator can be: they stay in the legacy module, and the rest moves.

A class, and a function that takes or gives back something that no schema has a type for (`py::dict`, a callback), are
bound with pybind11 or not at all. The unit that binds them stays where it is, with the units that define such
functions; the functions of the others become operators all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.draft import Draft
from torch_stabilize.bindings.reading.model import BlockKind, Side, Statement, StatementKind
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import Moved, Selection, diagnostic, select
from torch_stabilize.model import Diagnostic, Severity
from torch_stabilize.repository.layout import Group


def staying_units(registry: Registry, group: Group, target: str) -> dict[str, Diagnostic]:
    """The units of `group` that have to stay, each with what is to be said of it.

    None where nothing else would move, nor has before.
    """
    is_begun = registry.snapshot.exists(registry.layout.stable_bindings)
    has_moved = bool(group.migrated) or is_begun or any(s.block.side is Side.STABLE for s in registry.statements)
    if len(group.units) < 2 and not has_moved:
        return {}
    selection = select(registry, group)
    draft = Draft(registry, group, selection, target, {})
    found: dict[str, Diagnostic] = {}
    holders = dict.fromkeys((*group.units, *(moved.statement.path for moved in selection.moved)))
    for holder in holders:
        held = [moved for moved in selection.moved if moved.statement.path == holder]
        classes = [s for s in _statements(registry, holder, group) if s.kind is StatementKind.CLASS]
        reasons = [(statement, "it binds a class") for statement in classes if _is_bound(statement)]
        reasons += [(one.statement, reason) for one in held if (reason := _reason(draft, one))]
        if not reasons:
            continue
        if holder in group.units:
            found[holder] = _said(registry, holder, holder, reasons)
        theirs: dict[str, list[tuple[Statement, str]]] = {}
        stuck = {statement.span: reason for statement, reason in reasons}
        for moved in held:
            for path in dict.fromkeys(located.path for located in moved.functions if moved.statement.span in stuck):
                theirs.setdefault(path, []).append((moved.statement, stuck[moved.statement.span]))
        for path in theirs.keys() & set(group.units):
            found.setdefault(path, _said(registry, path, holder, theirs[path]))
    _with_registrations(registry, group, selection, found)
    moving = set(group.units) - found.keys()
    if has_moved or any(located.path in moving for one in selection.moved for located in one.functions):
        return found
    return {}


def _with_registrations(registry: Registry, group: Group, selection: Selection, found: dict[str, Diagnostic]) -> None:
    """Add to `found` the units that register what units in `found` define."""
    while True:
        more = {
            moved.statement.path: moved.statement
            for moved in selection.moved
            if moved.statement.path in group.units
            and moved.statement.path not in found
            and any(located.path in found for located in moved.functions)
        }
        for path, statement in more.items():
            reason = f"it registers {statement.full_name}, which stays"
            found[path] = _said(registry, path, path, [(statement, reason)])
        if not more:
            return


def _statements(registry: Registry, path: str, group: Group) -> Sequence[Statement]:
    return registry.bindings[path].statements if path in registry.bindings and path in group.units else ()


def _is_bound(statement: Statement) -> bool:
    return statement.block.kind is BlockKind.PYBIND


def _reason(draft: Draft, moved: Moved) -> str:
    """Why an operator, or a function of a Python module, has to stay, "" where it need not."""
    statement = moved.statement
    if not _is_bound(statement):
        return _unboxable(draft, moved)
    if statement.kind is not StatementKind.DEF or statement.schema is not None:
        return ""
    if draft.schema_finder.registered(statement, moved.functions) is None:
        return ""  # not at hand: another reason, with a message of its own
    inferred = draft.schema_finder.infer(statement, moved.functions)
    return f"{statement.full_name}: {inferred.reason}" if inferred.schema is None else _unboxable(draft, moved)


def _unboxable(draft: Draft, moved: Moved) -> str:
    """Which type of a function that is registered cannot be passed to the stable library, or from it."""
    reference = moved.statement.function
    if reference is None or reference.is_lambda or not moved.functions:
        return ""
    operator = draft.operators.get((moved.statement.namespace, moved.statement.full_name))
    schema = next((one.schema for one in operator.definitions if one.schema), None) if operator is not None else None
    problems = (d.message for d in draft.boxer.box(moved, schema).diagnostics if d.severity is Severity.ERROR)
    return next(problems, "")


def _said(registry: Registry, path: str, holder: str, reasons: list[tuple[Statement, str]]) -> Diagnostic:
    statement = reasons[0][0]
    why = "; ".join(dict.fromkeys(reason for _, reason in reasons))
    where = (
        f"module {statement.block.namespace}" if _is_bound(statement) else f"library {registry.layout.legacy_library}"
    )
    advice = "what the others define moves; Python finds both in one module"
    return diagnostic(
        codes.STAYS_BOUND, holder, statement.span, f"{path} stays in the legacy {where}: {why}",
        severity=Severity.ERROR, advice=advice if _is_bound(statement) else "what the others define moves",
    )  # fmt: skip
