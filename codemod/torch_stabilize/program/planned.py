"""A plan as two programs: the tree as it was read, and the tree as it would be. Nothing is known of how it was made."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch_stabilize.buildfiles.model import Abi, Library
from torch_stabilize.config import Config
from torch_stabilize.layout.read import Program
from torch_stabilize.model import Diagnostic, FileChange, Plan, Severity, Span
from torch_stabilize.program.registrations import Registrations
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import STABLE_SUFFIX
from torch_stabilize.source.spans import line_end, line_start


@dataclass(frozen=True)
class Planned:
    """`plan` over the tree of `before`."""

    before: Program
    plan: Plan
    found: list[Diagnostic] = field(default_factory=list, compare=False, repr=False)  # by the check so far

    @property
    def snapshot(self) -> Snapshot:
        """The tree as it was read."""
        return self.before.snapshot

    @property
    def config(self) -> Config:
        """The settings of the repository."""
        return self.before.config

    @cached_property
    def after(self) -> Program:
        """The tree as it would be."""
        return replace(self.before, snapshot=planned_tree(self.snapshot, self.plan), _closures={})

    @cached_property
    def had(self) -> Registrations:
        """What the libraries register as they are."""
        return Registrations(self.before)

    @cached_property
    def have(self) -> Registrations:
        """What they would register."""
        return Registrations(self.after)

    @cached_property
    def moved(self) -> Mapping[str, str | None]:
        """Where each changed file is afterwards, by its old path; None for one that is removed."""
        return {file.old_path: file.new_path for file in self.plan.files if file.old_path is not None}

    @cached_property
    def origin(self) -> Mapping[str, str | None]:
        """Where each changed file came from, by its new path; None for one that is new."""
        return {file.new_path: file.old_path for file in self.plan.files if file.new_path is not None}

    @cached_property
    def changes(self) -> Mapping[str, FileChange]:
        """The changed files by their new path."""
        return {file.new_path: file for file in self.plan.files if file.new_path is not None}

    def now(self, path: str) -> str | None:
        """Where the file that was at `path` is afterwards."""
        return self.moved.get(path, path)

    def then(self, path: str) -> str | None:
        """Where the file that is at `path` afterwards came from."""
        return self.origin.get(path, path)

    def place(self, path: str, span: Span | None = None) -> tuple[str, Span]:
        """A place of the tree as it was, for one of the tree as it would be."""
        old = self.then(path)
        if old is None or not self.snapshot.exists(old):
            first = next((file.old_path for file in self.plan.files if file.old_path is not None), path)
            return first, Span(0, 0)
        if span is None:
            return old, Span(0, 0)
        return old, span if path not in self.origin else self._before(path, old, span)

    def _before(self, path: str, old: str, span: Span) -> Span:
        """Where the line that holds `span` of the planned file stood, if it did."""
        now, then = self.after.snapshot.read(path), self.snapshot.read(old)
        start = line_start(now, span.start)
        line = now[start : line_end(now, span.start)]
        at = then.find(line) if line.strip() else -1
        moved = at + span.start - start
        return Span(moved, min(moved + len(span), len(then))) if at >= 0 else Span(0, 0)

    def said(self, *words: str, but: Collection[str] = ()) -> bool:
        """Whether the plan, or its check so far, says as something to do by hand what concerns all of `words`.

        `but` are codes that say something else of them.
        """
        if not all(words):
            return False
        told = (d for d in (*self.plan.diagnostics, *self.found) if d.severity is Severity.ERROR and d.code not in but)
        texts = (f"{d.message} {d.help}" for d in told)
        patterns = [re.compile(rf"(?<![\w./]){re.escape(word)}(?![\w/]|\.\w)") for word in words]
        return any(all(pattern.search(text) for pattern in patterns) for text in texts)

    # -- which library belongs to which --------------------------------------------------------------------------

    @cached_property
    def partners(self) -> Mapping[tuple[str, str], frozenset[tuple[str, str]]]:
        """For each library of the tree as it was, those that may hold its units afterwards: itself and one other."""
        known = {library.key: library for library in self.before.libraries}
        found: dict[tuple[str, str], set[tuple[str, str]]] = {key: {key} for key in known}
        claimed: set[tuple[str, str]] = set()
        by_name: dict[tuple[str, str], list[Library]] = {}
        for other in self.after.libraries:
            by_name.setdefault((other.project, other.name), []).append(other)
        for library in self.before.libraries:
            for other in (
                one for name in self._stable_names(library) for one in by_name.get((library.project, name), ())
            ):
                found[library.key].add(other.key)
                claimed.add(other.key)
        # A library of another name belongs to the one that most of its units come from, or that it shares its
        # operators' namespace with.
        for other in self.after.libraries:
            if other.key in claimed or (other.key in known and known[other.key].abi is other.abi):
                continue
            owner = self._owner(other, [one for one in self.before.libraries if len(found[one.key]) == 1])
            if owner is not None:
                found[owner.key].add(other.key)
        for other in self.after.libraries:
            if (
                other.key in known
                and other.abi is Abi.STABLE
                and not any(other.key in f - {k} for k, f in found.items())
            ):
                owner = self._of_one_namespace(known[other.key], found)
                if owner is not None:
                    found[owner.key].add(other.key)
        return {key: frozenset(keys) for key, keys in found.items()}

    def _of_one_namespace(
        self, stable: Library, found: Mapping[tuple[str, str], set[tuple[str, str]]]
    ) -> Library | None:  # fmt: skip
        """The one legacy library without a counterpart that registers in the namespace of a stable one."""
        theirs = self._namespaces(stable)
        free = [one for one in self.before.libraries if len(found[one.key]) == 1 and one.abi is not Abi.STABLE]
        alike = [one for one in free if one.project == stable.project and theirs & self._namespaces(one)]
        return alike[0] if len(alike) == 1 else None

    def _namespaces(self, library: Library) -> set[str]:
        return {one.namespace for one in self.had.of(library)} - {""}

    def _stable_names(self, library: Library) -> set[str]:
        """What the stable counterpart of `library` may be called."""
        names = {library.name + STABLE_SUFFIX, library.name + "_stable"}
        stable, legacy = self.config.stable_library, self.config.legacy_library
        if own := self.config.of_library(library.name).stable_library:
            names.add(own)
        elif stable is not None and (legacy is None or library.name == legacy.rpartition(".")[2]):
            names.add(stable.rpartition(".")[2])
        return names

    def _owner(self, other: Library, free: Iterable[Library]) -> Library | None:
        """The library of `free` that most units of `other` come from."""
        old = {self.then(path) for path in other.units}
        shared = [(len(old & library.units), library) for library in free if library.project == other.project]
        most = max((count for count, _ in shared), default=0)
        owners = [library for count, library in shared if count == most]
        return owners[0] if most and len(owners) == 1 else None


def planned_tree(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The tree after `plan`, in memory."""
    after = {file.new_path: file.after for file in plan.files if file.new_path is not None and file.after is not None}
    gone = {file.old_path for file in plan.files if file.old_path is not None} - set(after)
    tree = snapshot.with_overlay(after)
    return replace(tree, files=tuple(path for path in tree.files if path not in gone)) if gone else tree
