"""Extension modules of one name that a setup file makes in several places: one in each branch, as a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch_stabilize.buildfiles.setup.element import Element
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.registrations import may_be_counterpart
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import STABLE_SUFFIX, short_name


class Member(NamedTuple):
    """One call of a family, and those of its sources that move."""

    extension: Extension
    moving: tuple[Element, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it stays behind."""
        return bool(self.moving) and not self.extension.computed and len(self.moving) == len(self.extension.elements)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions under which something of it moves."""
        return self.extension.conditions if self.always or not self.moving else self.moving[0].conditions

    @property
    def always(self) -> list[Element]:
        """Those sources that move wherever the extension is built."""
        own = set(self.extension.conditions)
        return [element for element in self.moving if set(element.conditions) <= own]


def families_of(extensions: Sequence[Extension]) -> list[list[Extension]]:
    """The extensions, those of one name together; one of a loop or function by itself."""
    groups: dict[tuple[str, int], list[Extension]] = {}
    for index, extension in enumerate(extensions):
        alone = not extension.name or extension.round is not None
        groups.setdefault((extension.name, index if alone else -1), []).append(extension)
    return list(groups.values())


def unique(members: Sequence[Member]) -> list[Element]:
    """The sources that move, one that several calls share once."""
    found: dict[tuple[int, str], Element] = {}
    for member in members:
        for element in member.moving:
            found.setdefault((id(element.node), element.path), element)
    return list(found.values())


def partners(snapshot: Snapshot, stable: Sequence[Extension], layout: Layout) -> list[Extension]:
    """The stable extensions that are the counterpart of the layout's legacy library."""
    wanted = short_name(layout.stable_library)
    named = [extension for extension in stable if short_name(extension.name) == wanted]
    return named or [
        extension
        for extension in stable
        if not short_name(extension.name).endswith(STABLE_SUFFIX)
        and may_be_counterpart(snapshot, layout, [element.path for element in extension.elements])
    ]


def partner_of(extension: Extension, stable: Sequence[Extension]) -> Extension:
    """The stable extension that is built where `extension` is, else the first."""
    same = [other for other in stable if set(other.conditions) == set(extension.conditions)]
    return (same or list(stable))[0]


def all_of(conditions: Sequence[str]) -> str:
    """Conditions as one expression."""
    return " and ".join(f"({c})" if " or " in c and len(conditions) > 1 else c for c in conditions)


def nodes_of(elements: Sequence[Element]) -> set[int]:
    """The nodes that elements are written as, to compare."""
    return {id(element.node) for element in elements}


def shared_first(elements: Sequence[Element], extensions: Sequence[Extension]) -> list[Element]:
    """The elements, those last whose list most of the extensions share; the last is where new sources go."""
    shares = {
        id(e.list_node): sum(any(o.list_node is e.list_node for o in x.elements) for x in extensions) for e in elements
    }
    return sorted(elements, key=lambda element: shares[id(element.list_node)])
