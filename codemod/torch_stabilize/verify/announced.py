"""What a migration is about at run time: the operators that the group's units register, before they moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from torch_stabilize.bindings.autograd.convert import convert_autograd
from torch_stabilize.bindings.given_back import kernel_name
from torch_stabilize.bindings.reading.model import BlockKind, Operator, Side, Statement, StatementKind
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import Moved, select
from torch_stabilize.bindings.staying import staying_units
from torch_stabilize.model import Refusal
from torch_stabilize.repository.layout import Group
from torch_stabilize.verify.side import CUDA_SUFFIX
from torch_stabilize.verify.trees import Tree


@dataclass(frozen=True)
class Announced:
    """The operators of a group, as "ns::name" or "ns::name.overload".

    `functions` are those that were functions of a Python module, with the name they had there ("_C.f"). `added` are
    operators that the migration may add, for the backward of autograd functions and for functions that give back what
    they write to; `earlier` those that the stable library had before it. `always` are the ones of all of them that no
    condition and no CUDA unit keeps out of a build.
    `unread` says why the registrations cannot be read.
    """

    operators: tuple[str, ...] = ()
    functions: Mapping[str, str] = field(default_factory=dict)
    always: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    earlier: frozenset[str] = frozenset()
    on_cuda: bool = False
    unread: str = ""


def announced(legacy: Tree, work: Tree, group: Group, target: str) -> Announced:
    """What the registrations in the tree before the migration say of `group`."""
    # The namespace of what were functions of a module may be configured with the migration.
    chosen = work.layout.op_namespace or legacy.layout.op_namespace
    layout = replace(legacy.layout.for_units(group.units), op_namespace=chosen)
    registry = Registry(legacy.snapshot, layout)
    try:
        staying = staying_units(registry, group, target)
        group = group._replace(units=tuple(unit for unit in group.units if unit not in staying))
        moved = select(registry, group).moved
        converted = convert_autograd(registry, group).files
        after = Registry(legacy.snapshot.with_overlay(converted), layout) if converted else registry
        added = {_full_name(o) for o in after.operators} - {_full_name(o) for o in registry.operators}
        earlier = [o for o in registry.operators if o.side is Side.STABLE]
    except Refusal as refusal:
        return Announced(unread=str(refusal))
    functions = {_name(one): one for one in moved if _is_function(one)}
    return Announced(
        tuple(sorted({_name(one) for one in moved})),
        {name: f"{one.statement.block.namespace}.{one.statement.name}" for name, one in functions.items()},
        frozenset(name for name, one in functions.items() if _is_in_every_build(one.statement))
        | {_full_name(o) for o in earlier if o.definitions and all(map(_is_in_every_build, o.definitions))},
        frozenset(added) | {kernel_name(name) for name in functions},
        frozenset(map(_full_name, earlier)),
        _runs_on_cuda(group, moved),
    )


def _name(moved: Moved) -> str:
    return f"{moved.statement.namespace}::{moved.statement.full_name}"


def _full_name(operator: Operator) -> str:
    return f"{operator.namespace}::{operator.full_name}"


def _is_function(moved: Moved) -> bool:
    return moved.statement.block.kind is BlockKind.PYBIND and moved.statement.kind is StatementKind.DEF


def _is_in_every_build(statement: Statement) -> bool:
    return not statement.conditions and not statement.path.endswith(CUDA_SUFFIX)


def _runs_on_cuda(group: Group, moved: Iterable[Moved]) -> bool:
    units = any(unit.endswith(CUDA_SUFFIX) for unit in group.units)
    return units or any("CUDA" in one.statement.key for one in moved)
