"""What is in the bindings of a group besides the operators that move: blocks, classes, Python modules."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

from torch_stabilize.bindings import codes
from torch_stabilize.bindings.constants import constants_of
from torch_stabilize.bindings.reading.model import BlockKind, Side, Statement, StatementKind
from torch_stabilize.bindings.reading.pybind_extras import ways_out
from torch_stabilize.bindings.reading.register_functions import whole_functions
from torch_stabilize.bindings.reading.statements import python_module
from torch_stabilize.bindings.schemas.check import (
    check_duplicates,
)
from torch_stabilize.bindings.writing.inplace import is_idle
from torch_stabilize.model import Severity, Span

if TYPE_CHECKING:
    from torch_stabilize.bindings.draft import Draft

# What no stable block can hold, and what to do with it.
_WAYS_OUT = {
    StatementKind.CLASS: (
        "a class has no stable form",
        "keep it in a unit of its own that stays in the legacy library, or write it in Python over operators that take "
        "its state as tensors and numbers",
    ),
    StatementKind.FALLBACK: ("a fallback has no stable form", "keep it in a unit that stays in the legacy library"),
}


def report_blocks(draft: Draft) -> None:
    """What is in the blocks of the group's units and can move nowhere, and what pybind leaves behind."""
    units = {*draft.group.units, *draft.group.moving_headers}
    draft.reported |= set(constants_of(draft.registry, draft.selection))
    _report_modules(draft, units)
    _report_python_modules(draft)
    for statement in draft.registry.statements:
        if statement.path not in units or statement.block.side is Side.STABLE or statement in draft.reported:
            continue
        if statement.kind in (StatementKind.CLASS, StatementKind.FALLBACK):
            message, advice = _WAYS_OUT[statement.kind]
            draft.say(codes.NO_STABLE_FORM, statement, message, Severity.ERROR, advice)
        elif statement.kind is StatementKind.OTHER and not is_idle(
            draft.registry.document(statement.path), statement, whole_functions(draft.registry, draft.selection)
        ):
            draft.say(
                codes.UNREAD, statement, "this statement was not understood", Severity.ERROR,
                "write what it registers as m.def and m.impl; what else it does for the module belongs to Python",
            )  # fmt: skip
    modules = {
        m.statement.path: m.statement for m in draft.selection.moved if m.statement.block.kind is BlockKind.PYBIND
    }
    for statement in modules.values():
        namespace, module = statement.namespace, statement.block.namespace
        advice = (
            f"call torch.ops.{namespace}.<name> where Python called {module}.<name>; `op_namespace` in "
            "torch-stabilize.toml gives them another namespace"
        )
        message = f"the functions of the module {module} are operators of {namespace} now"
        draft.say(codes.PYTHON_CALLERS, statement, message, advice=advice)
    moved = {(m.statement.namespace, m.statement.full_name) for m in draft.selection.moved}
    draft.diagnostics += check_duplicates(o for key, o in draft.operators.items() if key in moved)


def _report_python_modules(draft: Draft) -> None:
    """The Python modules that blocks name for operators which move."""
    defining = {m.statement.block for m in draft.selection.moved if m.statement.kind is StatementKind.DEF}
    for statement in draft.registry.statements:
        if statement.block in defining and statement.kind is StatementKind.OTHER and statement not in draft.reported:
            module = python_module(draft.registry.document(statement.path), statement)
            if module:
                message = f"the operators of {statement.block.namespace} no longer name their Python module {module}"
                advice = f"import {module} where the library is loaded"
                draft.say(codes.PYTHON_MODULE, statement, message, advice=advice)
                draft.reported.add(statement)


def _report_modules(draft: Draft, units: Set[str]) -> None:
    """What the group's Python modules have besides functions."""
    blocks: dict[tuple[str, Span], list[Statement]] = {}
    for statement in draft.registry.statements:
        is_other = statement.kind is StatementKind.OTHER and statement not in draft.reported
        if statement.path in units and is_other:
            blocks.setdefault((statement.path, statement.block.span), []).append(statement)
    for (path, _), statements in blocks.items():
        found, covered = ways_out(draft.registry.document(path), statements, statements[0].block.namespace)
        for statement, way in found.items():
            draft.say(codes.NO_STABLE_FORM, statement, way.message, Severity.ERROR, way.advice)
        draft.reported |= covered | set(found)
