"""The targets of a group, as its registrations say: reading them takes the parsers, named targets do not."""

from __future__ import annotations

from pathlib import Path

from torch_stabilize.model import DEFAULT_TARGET, Refusal
from torch_stabilize.program.groups import resolve_group
from torch_stabilize.repository.layout import Group
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.verify.announced import Announced, announced
from torch_stabilize.verify.golden.capture.targets import Target
from torch_stabilize.verify.trees import Tree, legacy_tree, read_tree


def group_targets(snapshot: Snapshot, names: tuple[str, ...], build_dir: Path) -> tuple[str, tuple[Target, ...]]:
    """The name of the group `names`, and what it has, as its registrations say, before or after its migration.

    Raises Refusal where there is no such group or its registrations cannot be read.
    """
    work = read_tree(snapshot, "the work tree", names)
    legacy, found = legacy_group(work, names, build_dir)
    said = announced(legacy, work, found, work.config.target or DEFAULT_TARGET)
    group = found.name
    if said.unread:
        raise Refusal(f"the registrations of {group} cannot be read: {said.unread}; name what to watch with --callable")
    targets = targets_of(said)
    if not targets:
        raise Refusal(f"{group} registers nothing that can be called", exit_code=2)
    return group, targets


def targets_of(said: Announced) -> tuple[Target, ...]:
    """The targets that a group's registrations announce."""
    found = []
    for name in said.operators:
        module, _, function = said.functions.get(name, "").rpartition(".")
        found.append(Target(f"{module.rpartition('.')[2]}:{function}" if function else name, name))
    return tuple(found)


def legacy_group(work: Tree, names: tuple[str, ...], build_dir: Path) -> tuple[Tree, Group]:
    """The tree in which the group `names` is legacy, be it the work tree, and the group in it. Raises Refusal."""
    found = resolve_group(work.snapshot, work.layout, work.config, names)
    if found.units:
        said = announced(work, work, found, work.config.target or DEFAULT_TARGET)
        if said.operators or said.unread:
            return work, found
    return legacy_tree(work, names, None, build_dir)
