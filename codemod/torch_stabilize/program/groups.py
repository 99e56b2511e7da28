"""What one pull request migrates: a group by name or by files, and the headers that go with it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from difflib import get_close_matches
from posixpath import basename, dirname, normpath
from typing import NamedTuple

from torch_stabilize.bindings.reading.registry import registry_of
from torch_stabilize.bindings.staying import staying_units
from torch_stabilize.config import Config
from torch_stabilize.layout.read import is_built_stable
from torch_stabilize.model import Refusal
from torch_stabilize.program.besides import needed_besides
from torch_stabilize.program.bound_headers import headers_of_bindings
from torch_stabilize.program.clusters import Cluster, clusters, group_key
from torch_stabilize.program.units import Units
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.sources import matches
from torch_stabilize.repository.unstable import unstable_macros
from torch_stabilize.source.definitions import things_defined
from torch_stabilize.source.document import SOURCE_SUFFIXES, UNIT_SUFFIXES
from torch_stabilize.source.heads import defines
from torch_stabilize.source.parsable import refuse_unparsable
from torch_stabilize.source.signatures import read_signatures

_WORD = re.compile(r"[\w-]+")


def resolve_group(snapshot: Snapshot, layout: Layout, config: Config, names: tuple[str, ...]) -> Group:
    """The group that `names` mean together: files, folders, globs, configured groups or suggested ones.

    A path may be relative to the folder the run starts in, to the root, or to the source root. Units that have
    migrated already are listed as `migrated`. Raises Refusal (exit 2) for a name that means nothing here.
    """
    if not names:
        raise Refusal("name a group or files; `torch-stabilize scan` lists the groups", exit_code=2)
    resolver = _Resolver(Units(snapshot, layout, config))
    paths = [path for name in names for path in resolver.files_of(name)]
    asked = tuple(sorted(set(paths)))
    migrated = tuple(path for path in asked if resolver.is_migrated(path))
    registrations = tuple(path for path in asked if resolver.units.has_nothing_but_bindings(path))
    if asked and asked == registrations:
        raise Refusal(
            f"{asked[0]} holds registrations alone; they move with the groups that implement them", exit_code=2
        )
    units = tuple(path for path in asked if path not in migrated and path not in registrations)
    group = with_headers(resolver.units, resolver.name_of(names, units or migrated), units, migrated)
    return group._replace(registrations=registrations)


def suggest_groups(snapshot: Snapshot, layout: Layout, config: Config) -> tuple[Group, ...]:
    """Groups to migrate one by one, sorted by name: units of one stem, folder, private header or op.

    A configured group takes its units out of the suggestions. Units without unstable names come along only where they
    belong to a group that has some. A group with a file that cannot be parsed is not suggested.
    """
    return suggest(snapshot, layout, config).groups


class Suggestions(NamedTuple):
    """The groups to migrate one by one, and those that cannot be as their files are: names, each with the reason."""

    groups: tuple[Group, ...]
    refused: tuple[tuple[str, str], ...] = ()


def suggest(snapshot: Snapshot, layout: Layout, config: Config) -> Suggestions:
    """What `suggest_groups` gives, and what it leaves out."""
    units = Units(snapshot, layout, config)
    groups: list[Group] = []
    refused: list[tuple[str, str]] = []
    for found in _suggested(units):
        group = with_headers(units, found.name, found.units)
        why = _unparsable(snapshot, group)
        if why:
            refused.append((group.name, why))
        else:
            groups.append(group)
    return Suggestions(tuple(groups), tuple(refused))


def joined(found: Iterable[Suggestions]) -> Suggestions:
    """The groups of several extensions."""
    every = list(found)
    return Suggestions(tuple(g for one in every for g in one.groups), tuple(r for one in every for r in one.refused))


def without_staying(snapshot: Snapshot, layout: Layout, found: Suggestions, target: str) -> Suggestions:
    """`found` without the groups of which nothing can move, such as one that binds a class; those have their reason."""
    if not snapshot.exists(layout.stable_bindings):
        return found  # in a first run a group stays only in part
    groups: list[Group] = []
    refused = list(found.refused)
    registry = registry_of(snapshot, layout)
    for group in found.groups:
        staying = staying_units(registry, group, target)
        if staying and staying.keys() >= set(group.units):
            refused.append((group.name, next(iter(staying.values())).message))
        else:
            groups.append(group)
    return Suggestions(tuple(groups), tuple(refused))


def _unparsable(snapshot: Snapshot, group: Group) -> str:
    """Why `group` cannot be migrated as its files are, "" where it can."""
    try:
        for path in (*group.files, *group.shared_headers):
            refuse_unparsable(snapshot.document(path))
    except Refusal as refusal:
        return str(refusal)
    return ""


def suggested_with(units: Units, members: Iterable[str]) -> frozenset[str]:
    """The units of every suggested group that one of `members` is in."""
    asked = set(members)
    return frozenset(path for group in _suggested(units) if asked & set(group.units) for path in group.units)


def with_headers(units: Units, name: str, members: tuple[str, ...], migrated: tuple[str, ...] = ()) -> Group:
    """The group of the units `members`, with the headers that move with it and those it shares with others."""
    graph, layout = units.graph, units.layout
    inside = set(members)
    private: list[str] = []
    shared: list[str] = []
    left = headers_of_bindings(units, inside)
    needed = _needed_headers(units, members)
    for header in graph.closure((*members, *left)):
        users = units.users(header)
        has_others = len(users) > len(users & inside)
        if left and users - inside <= units.bindings.keys() and _is_for(units, header, left, inside):
            has_others = False
        if header in inside or layout.is_stable(header):
            continue
        if has_others and header in layout.legacy_declarations:
            if header not in needed:
                continue  # its declarations move one by one
            if _only_declares(units, header, users - inside, inside):
                has_others = False
        has_twin = units.snapshot.exists(layout.landing(header))  # an earlier group left its stable form there
        if has_twin or has_others:
            if units.is_unstable(header) or _leans_on_macros(units, header):
                shared.append(header)
        else:
            private.append(header)
    return Group(name, members, _moving(units, private, members), tuple(shared), migrated)


def _needed_headers(units: Units, members: Sequence[str]) -> frozenset[str]:
    """The headers of declarations that the group needs for a type, a constant or a macro in them."""
    declarations = units.layout.legacy_declarations
    files = (f for f in units.graph.closure(members) if f not in declarations and not units.layout.is_stable(f))
    return frozenset(h for file in files for h in needed_besides(units.snapshot, units.graph, declarations, file))


def _only_declares(units: Units, header: str, outside: Set[str], inside: Set[str]) -> bool:
    """Whether the files `outside` want of `header` what the units of the group define, to register it, and no more."""
    if not all(units.is_only_bindings(path) for path in outside):
        return False
    document = units.snapshot.document(header)
    words = {word for path in outside for word in re.findall(rb"\w+", units.snapshot.document(path).code)}
    declared = {f.name for f in read_signatures(document) if not f.is_definition and f.name.encode() in words}
    ours = {
        name for name in declared if any(defines(units.snapshot.document(path), frozenset({name})) for path in inside)
    }
    return declared == ours and not words & things_defined(document)


def _leans_on_macros(units: Units, header: str) -> bool:
    """Whether `header`, without a name of torch itself, uses a macro of a header it includes that has some."""
    code = units.snapshot.document(header).code
    for included in units.graph.direct(header):
        if units.layout.is_stable(included) or not units.is_unstable(included):
            continue
        names = [re.escape(name.encode()) for name in unstable_macros(units.snapshot.document(included))]
        if names and re.search(rb"\b(?:" + b"|".join(names) + rb")\b", code):
            return True
    return False


def _is_for(units: Units, header: str, left: tuple[str, ...], inside: set[str]) -> bool:
    """Whether no file needs `header` but the group's and what moves with it."""
    included_by = set(units.graph.includers(header))
    return header in left or included_by <= {*left, *inside}


def _moving(units: Units, private: list[str], members: tuple[str, ...]) -> tuple[str, ...]:
    """The private headers that live with the units, in the folder of one or below it, and those that must move.

    A header must move where it holds unstable names, and where it includes one that moves: its path would break.
    """
    folders = tuple({dirname(member) for member in members})
    moving = {h for h in private if any(dirname(h) == f or h.startswith(f"{f}/") for f in folders)}
    moving |= {header for header in private if units.is_unstable(header)}
    return tuple(header for header in private if not moving.isdisjoint(units.graph.reached(header)))


def _suggested(units: Units) -> list[Cluster]:
    configured = [
        Cluster(name, tuple(path for path in units.legacy if any(matches(path, glob) for glob in globs)))
        for name, globs in units.config.groups.items()
    ]
    taken = {path for group in configured for path in group.units}
    found = [*(group for group in configured if group.units), *clusters(units, taken)]
    if label := units.layout.label:
        found = [Cluster(f"{label}/{group.name}", group.units) for group in found]
    return sorted((group for group in found if any(map(units.is_unstable, group.units))), key=lambda group: group.name)


class _Resolver:
    """Turns what a user typed into units."""

    def __init__(self, units: Units) -> None:
        self.units = units
        self._names: dict[str, tuple[str, ...]] | None = None

    @property
    def suggested(self) -> dict[str, tuple[str, ...]]:
        """Suggested groups by name; found on first use, as files need none."""
        if self._names is None:
            self._names = {group.name: group.units for group in _suggested(self.units)}
        return self._names

    def files_of(self, name: str) -> tuple[str, ...]:
        """The units `name` means. Raises Refusal (exit 2)."""
        config = self.units.config
        if name in config.groups:
            found = tuple(path for glob in config.groups[name] for path in self._from_path(glob, [""]))
            if not found:
                raise Refusal(f"{config.source}: group `{name}` matches no file", exit_code=2)
            return found
        layout = self.units.layout
        # A plain word is a group first: what it means must not depend on the folders that lie around.
        group = self.suggested.get(name) if _WORD.fullmatch(name) else None
        found = group or self._from_path(name, [self.units.snapshot.start, ""])
        found = found or self.suggested.get(name) or self._from_path(name, [layout.source_root, layout.project_root])
        return found or self._from_stable_root(name) or self._finished(name) or self._unknown(name)

    def _from_path(self, name: str, folders: Iterable[str]) -> tuple[str, ...]:
        """The units at `name` below the first of `folders` where there are any."""
        for folder in folders:
            path = self._tree_path(name, folder)
            if self.units.snapshot.exists(path):
                return (self._checked(path),)
            found = tuple(unit for unit in self._migratable if unit != path and matches(unit, path or "*"))
            if found:
                return found
        return ()

    def _tree_path(self, name: str, folder: str) -> str:
        root = self.units.snapshot.root
        joined = os.path.join(root, folder, name) if not os.path.isabs(name) else name
        path = normpath(os.path.relpath(os.path.realpath(os.path.dirname(joined)), os.path.realpath(root)))
        path = normpath(f"{path}/{basename(joined.rstrip('/'))}") if basename(joined.rstrip("/")) else path
        if path == ".." or path.startswith("../"):
            raise Refusal(f"{name} is outside of the repository {root}", exit_code=2)
        return "" if path == "." else path

    @property
    def _migratable(self) -> Iterator[str]:
        """What a folder or a glob represents: legacy units less those that only register."""
        return (path for path in self.units.legacy if not self.units.is_only_bindings(path))

    def _checked(self, path: str) -> str:
        """`path` if a migration of it makes sense. Raises Refusal (exit 2)."""
        layout, graph = self.units.layout, self.units.graph
        if not path.endswith(SOURCE_SUFFIXES):
            raise Refusal(f"{path} is not a C++ or CUDA file", exit_code=2)
        if path not in graph.files:
            raise Refusal(
                f"{path} is excluded, or outside of the extension at {layout.source_root or '.'}", exit_code=2
            )
        if not path.endswith(UNIT_SUFFIXES) or graph.includers(path):
            users = sorted(self.units.users(path))
            hint = f"name a file that includes it: {_listed(users)}" if users else "no file includes it"
            raise Refusal(f"{path} is a header and moves with the units that include it; {hint}", exit_code=2)
        if self.units.is_of_other_build(path):
            bindings = _listed(layout.other_builds)
            raise Refusal(f"{path} belongs to another build, whose bindings are {bindings}", exit_code=2)
        if self.units.is_hollow(path):
            raise Refusal(f"{path} defines and registers nothing: there is nothing in it to migrate", exit_code=2)
        return path

    def _from_stable_root(self, name: str) -> tuple[str, ...]:
        """Stable units that `name` used to mean: the place its file went to, or its old group's name."""
        layout = self.units.layout
        stable = [path for path in self.units.all if layout.is_stable(path) and path != layout.stable_bindings]
        places = {layout.landing(self._tree_path(name, folder)) for folder in (self.units.snapshot.start, "")}
        places.add(f"{layout.stable_root}/{name}")
        found = tuple(p for p in stable if group_key(p) == name or any(matches(p, place) for place in places))
        # a group of several subjects was called by the words these begin with, or by their folder
        return found or tuple(p for p in stable if group_key(p).startswith(f"{name}_") or basename(dirname(p)) == name)

    def _finished(self, name: str) -> tuple[str, ...]:
        """The units in place that a folder or a glob represents where all of them have migrated."""
        folders = (self.units.snapshot.start, "", self.units.layout.source_root, self.units.layout.project_root)
        places = {self._tree_path(name, folder) for folder in folders}
        below = (path for path in self.units.all if any(matches(path, place or "*") for place in places))
        return tuple(path for path in below if self.is_migrated(path))

    def is_migrated(self, path: str) -> bool:
        """In the folder of stable sources or built for the stable ABI alone, and without an unstable name."""
        is_stable = self.units.layout.is_stable(path) or is_built_stable(self.units.snapshot, path)
        return is_stable and not self.units.is_unstable(path)

    def name_of(self, names: tuple[str, ...], paths: tuple[str, ...]) -> str:
        """A name for the group: the user's where it is one, else what its units have in common."""
        given = tuple(dict.fromkeys(names))
        known = {*self.units.config.groups, *(self._names or ())}
        if all(name in known or not _looks_like_path(name) for name in given):
            return given[0] if len(given) == 1 else f"{given[0]}_and_{len(given) - 1}_more"
        keys = list(dict.fromkeys(group_key(path) for path in paths))
        if len(keys) == 1:
            return keys[0]
        folders = {dirname(path) for path in paths}
        if len(folders) == 1 and next(iter(folders)) != self.units.layout.source_root:
            return basename(next(iter(folders)))
        return f"{keys[0]}_and_{len(keys) - 1}_more"

    def _unknown(self, name: str) -> tuple[str, ...]:
        known = [*self.suggested, *self.units.config.groups, *self.units.legacy]
        by_base = {basename(path): path for path in self.units.legacy}
        near = get_close_matches(name, known, n=3) or [
            by_base[base] for base in get_close_matches(basename(name), by_base, n=3)
        ]
        hint = f"did you mean {_listed(near)}?" if near else "`torch-stabilize scan` lists the groups"
        raise Refusal(f"no group, file or folder `{name}`; {hint}", exit_code=2)


def _looks_like_path(name: str) -> bool:
    return "/" in name or "*" in name or name.endswith(SOURCE_SUFFIXES)


def _listed(names: Iterable[str], most: int = 3) -> str:
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more
