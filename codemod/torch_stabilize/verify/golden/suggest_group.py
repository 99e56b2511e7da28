"""Drafts of golden cases for a group: its schemas from the plan of its migration, its functions from registrations."""

from __future__ import annotations

from pathlib import Path

from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.bindings.select import select
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Refusal
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.source.function_index import FunctionIndex
from torch_stabilize.verify.golden.capture.group_targets import legacy_group
from torch_stabilize.verify.golden.suggest import Subject, draft_cases
from torch_stabilize.verify.trees import read_tree


def suggest_group(snapshot: Snapshot, names: tuple[str, ...], build_dir: Path) -> tuple[str, str]:
    """The name of the group and a draft of its cases.toml. Raises Refusal where it has no operator with a schema."""
    work = read_tree(snapshot, "the work tree", names)
    legacy, group = legacy_group(work, names, build_dir)
    layout = legacy.layout.for_units(group.units)
    plan = plan_migration(legacy.snapshot, layout, group, Options(work.config.target or "", format=False))
    callables = [one for one in plan.callables if one.schema]
    if not callables:
        raise Refusal(f"{group.name} has no operator whose schema is known", exit_code=2)
    registry = Registry(legacy.snapshot, layout)
    functions: dict[str, list[tuple[str, str]]] = {}
    for moved in select(registry, group).moved:
        name = f"{moved.statement.namespace}::{moved.statement.full_name}"
        functions.setdefault(name, []).extend((one.path, one.function.name) for one in moved.functions)
    index = FunctionIndex([registry.document(path) for path in registry.sources])
    subjects = [
        Subject(
            one.schema,
            tuple(
                found
                for path, name in dict.fromkeys(functions.get(one.stable, ()))
                for found in index.named(name)
                if found[0].path == path
            ),
        )
        for one in callables
    ]
    namespace = callables[0].stable.partition("::")[0]
    return group.name, draft_cases(group.name, namespace, subjects, index)
