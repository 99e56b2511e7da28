"""Where the repository's own headers are after a move, and how a moved file spells them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from posixpath import dirname, normpath, relpath

from torch_stabilize.model import Move
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.unstable import holds_unstable_names
from torch_stabilize.rules.includes import spell_relative
from torch_stabilize.rules.shared import DEFAULT_CHECK


def _joined(folder: str, name: str) -> str:
    return normpath(f"{folder}/{name}") if folder else normpath(name)


@dataclass(frozen=True)
class Relocation:
    """The tree after a run: `moves` done, `created` there; `replaced` headers have a stable stand-in.

    `converted` are files that become stable ones, those included that stay where they are.
    """

    snapshot: Snapshot
    layout: Layout
    graph: IncludeGraph
    moves: Sequence[Move]
    created: Sequence[str]
    replaced: frozenset[str]
    converted: frozenset[str] = frozenset()

    def new_path(self, path: str) -> str:
        """Where the file `path` lies after the run."""
        return self._landing.get(path, path)

    @cached_property
    def _landing(self) -> dict[str, str]:
        return {move.old: move.new for move in self.moves}

    @cached_property
    def _new(self) -> frozenset[str]:
        """The files that are only there after the run."""
        return frozenset((*self.created, *(move.new for move in self.moves)))

    def exists_after(self, path: str) -> bool:
        """Whether there is a file `path` after the run."""
        return path in self._new or (self.snapshot.exists(path) and path not in self._landing)

    def resolve_after(self, path: str, name: str, quoted: bool, was_beside: bool = False) -> str | None:
        """What `#include "name"` in the file that will be `path` will mean.

        What used to lie next to its includer (`was_beside`) is looked for there alone: that the build searches a folder
        is known only of includes that needed it.
        """
        beside = _joined(dirname(path), name) if quoted else path
        if beside != path and self.exists_after(beside):
            return beside
        for folder in () if was_beside else self.graph.roots:
            candidate = _joined(folder, name)
            if candidate != path and self.exists_after(candidate) and folder in self.graph.searched:
                return candidate
        return None

    def is_unstable(self, path: str) -> bool:
        """Whether a header cannot be included in stable code as it is."""
        return holds_unstable_names(self.snapshot.document(path))

    def gives_way(self, header: str) -> bool:
        """Whether files that move include the stable header of declarations where they included `header`."""
        if header not in self.layout.legacy_declarations:
            return False
        # an earlier run may have left it in both forms, with this check in either
        return holds_unstable_names(self.snapshot.document(header), DEFAULT_CHECK)

    def stays_legacy(self, path: str) -> bool:
        """Whether the file `path` is on the legacy side after the run too."""
        is_where_it_was = self.new_path(path) == path and not self.layout.is_stable(path)
        return is_where_it_was and path not in self.converted

    def respeller(
        self, path: str, uses_dispatch: bool, idle: frozenset[str] = frozenset()
    ) -> Callable[[str, bool], str | None]:
        """How the includes of `path` are spelled after the run: None to leave a line, "" to drop it.

        `idle` are headers that the rewritten file has no use for.
        """
        new_path = self.new_path(path)
        stays_legacy = self.stays_legacy(path)

        def respell(name: str, quoted: bool) -> str | None:
            target = self.graph.resolve(path, name, quoted=quoted)
            if target is None:
                return None
            if target in idle:
                return ""
            wanted = self.new_path(target)
            if not stays_legacy and target in self.replaced:
                if not uses_dispatch:
                    return ""
                wanted = self.layout.stable_dispatch
            elif not stays_legacy and self.gives_way(target):
                if not self.exists_after(self.layout.stable_declarations):
                    return ""
                wanted = self.layout.stable_declarations
            was_beside = quoted and self.graph.is_beside(path, name)
            if self.resolve_after(new_path, name, quoted, was_beside) == wanted:
                return None
            return self.spell(new_path, wanted)

        return respell

    def spell(self, from_path: str, to_path: str) -> str:
        """How the file that will be `from_path` includes the one that will be `to_path`.

        Relative to its own folder; where that leads upwards within the stable side, the way its other files do it.
        """
        relative = spell_relative(from_path, to_path)
        if self._searched_root is None or not relative.startswith("../") or not self.layout.is_stable(to_path):
            return relative
        return relpath(to_path, self._searched_root or ".")

    @cached_property
    def _searched_root(self) -> str | None:
        """The folder from which most stable files spell the headers of their own side; None: by the way upwards."""
        votes: Counter[str | None] = Counter()
        for path in filter(self.layout.is_stable, self.graph.files):
            for include in self.graph.includes(path):
                if include.target is None or not self.layout.is_stable(include.target):
                    continue
                if not self.graph.is_beside(path, include.name):
                    votes[self.graph.root_of(include)] += 1
                elif include.name.startswith("../"):
                    votes[None] += 1
        return votes.most_common(1)[0][0] if votes else None
