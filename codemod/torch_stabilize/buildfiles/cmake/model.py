"""Targets, and the sources on their way into one."""

from __future__ import annotations

import re
from typing import NamedTuple

from torch_stabilize.buildfiles.cmake.syntax import Command, Item


class Definition(NamedTuple):
    """A call that defines a target."""

    name: str
    command: Command


class Flow(NamedTuple):
    """A source on its way into a target.

    `steps` are the commands it passes through: the one that names it first, the definition (or `target_sources`) last;
    `variables[i]` is the list that carries it from `steps[i]` to `steps[i + 1]`. A `glob` names it by a pattern. It is
    taken out again where all conditions of one of `unless` hold.
    """

    path: str
    item: Item
    steps: tuple[Command, ...]
    variables: tuple[str, ...]
    definition: Definition
    glob: bool = False
    unless: tuple[tuple[str, ...], ...] = ()

    @property
    def conditions(self) -> tuple[str, ...]:
        """Everything that must hold for the source to be in the target, outermost first, each once."""
        found: dict[str, None] = {}
        for command in (self.definition.command, *reversed(self.steps)):
            for condition in command.conditions:
                found.setdefault(condition)
        for together in self.unless:
            plain = re.fullmatch(r"NOT (\w+)", together[0]) if len(together) == 1 else None
            found.setdefault(plain[1] if plain else f"NOT ( {' AND '.join(together)} )")
        return tuple(found)

    @property
    def places(self) -> tuple[object, ...]:
        """What tells it from others: the source, where it is named, and the commands it passes through."""
        through = ((command.path, command.span) for command in self.steps[1:])
        return self.path, self.steps[0].path, self.item.span, *through
