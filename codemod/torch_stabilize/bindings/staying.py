"""Units whose Python module holds what no operator can be: they stay in the legacy module, and the rest moves.

A class, and a function that takes or gives back something that no schema has a type for (`py::dict`, a callback), are
bound with pybind11 or not at all. The unit that binds them stays where it is, with the units that define such
functions; the functions of the others become operators all the same.
"""

from __future__ import annotations

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.draft import Draft
from torch_stabilize.bindings.reading.model import BlockKind, Statement, StatementKind
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import Located, diagnostic, select
from torch_stabilize.model import Diagnostic
from torch_stabilize.repository.layout import Group


def staying_units(registry: Registry, group: Group, target: str) -> dict[str, Diagnostic]:
    """The units of `group` that have to stay, each with what is to be said of it.

    None where nothing else would move.
    """
    if len(group.units) < 2 or not any(_binds(registry, unit) for unit in group.units):
        return {}
    selection = select(registry, group)
    draft = Draft(registry, group, selection, target, {})
    functions = {(m.statement.path, m.statement.span): m.functions for m in selection.moved}
    found: dict[str, Diagnostic] = {}
    for unit in group.units:
        held = [s for s in registry.bindings[unit].statements if _is_bound(s)] if unit in registry.bindings else []
        reasons = [(s, reason) for s in held if (reason := _reason(draft, s, functions.get((s.path, s.span), ())))]
        if not reasons:
            continue
        found[unit] = _said(unit, unit, reasons)
        for statement, _ in reasons:
            for located in functions.get((statement.path, statement.span), ()):
                if located.path in group.units:
                    found.setdefault(located.path, _said(located.path, unit, reasons))
    moving = set(group.units) - found.keys()
    if any(located.path in moving for one in selection.moved for located in one.functions):
        return found
    return {}


def _binds(registry: Registry, unit: str) -> bool:
    return unit in registry.bindings and any(map(_is_bound, registry.bindings[unit].statements))


def _is_bound(statement: Statement) -> bool:
    return statement.block.kind is BlockKind.PYBIND


def _reason(draft: Draft, statement: Statement, functions: tuple[Located, ...]) -> str:
    """Why a statement of a Python module has to stay, "" where it need not."""
    if statement.kind is StatementKind.CLASS:
        return "it binds a class"
    if statement.kind is not StatementKind.DEF or statement.schema is not None:
        return ""
    if draft.schema_finder.registered(statement, functions) is None:
        return ""  # not at hand: another reason, with a message of its own
    inferred = draft.schema_finder.infer(statement, functions)
    return f"{statement.full_name}: {inferred.reason}" if inferred.schema is None else ""


def _said(path: str, module: str, reasons: list[tuple[Statement, str]]) -> Diagnostic:
    statement = reasons[0][0]
    why = "; ".join(dict.fromkeys(reason for _, reason in reasons))
    message = f"{path} stays in the legacy module {statement.block.namespace}: {why}"
    return diagnostic(
        codes.STAYS_BOUND, module, statement.span, message,
        advice="what the others define moves; Python finds both in one module",
    )  # fmt: skip
