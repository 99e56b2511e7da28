"""Which units belong together: the same stem, a folder of their own, a private header, an op, or a call."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from posixpath import basename, dirname, splitext
from typing import NamedTuple

from torch_stabilize.program.bound_headers import owners_by_header
from torch_stabilize.program.units import Units
from torch_stabilize.repository.registrations import Registrations
from torch_stabilize.source.heads import defines

# What a file's name says of its role, not of its subject.
_ROLE = re.compile(r"_(?:kernels?|cpu|cuda|gpu|hip|ops?|entry|impl|host|launcher|torch|bindings?)$")
# Folders that hold another implementation of the same things.
_VARIANTS = frozenset({"cpu", "cuda", "gpu", "kernels", "ops"})
_LARGEST_FOLDER = 8  # units; a bigger folder is a category, not a group
_MOST_USERS = 3  # units; an interface that more include is a library of the project's own
_GENERIC = frozenset({"ops", "gemm", "common", "kernel", "kernels", "main", "entry", "utils", "bindings"})
_PROTOTYPE = re.compile(rb"^[A-Za-z_][\w:<>,&* \t]*?[\s&*](?P<name>[A-Za-z_]\w*)\s*\([^;{}]*\)\s*;", re.MULTILINE)


class Cluster(NamedTuple):
    """Units that should migrate together, under a name."""

    name: str
    units: tuple[str, ...]


def group_key(path: str) -> str:
    """The subject of a file by its name: "csrc/activation_kernels.cu" is about "activation"."""
    stem = splitext(basename(path))[0]
    while (shorter := _ROLE.sub("", stem)) and shorter != stem:
        stem = shorter
    return stem


def clusters(units: Units, taken: Set[str] = frozenset()) -> list[Cluster]:
    """The legacy units less those `taken`, clustered; names are unique.

    Units that have migrated are clustered with them, by where they came from, and left out of what comes out: so a
    group keeps its name and its units while others migrate.
    """
    legacy = [path for path in units.legacy if path not in taken and not units.is_only_bindings(path)]
    left = frozenset(legacy)
    members = sorted([*legacy, *(path for path in units.done if path not in taken)]) if legacy else []
    together = _Together({path: units.owners(path) for path in members})
    for pairs in (_same_stem, _same_folder, _same_header, _same_op, _calls, _python_module, _bound_header):
        for first, *others in pairs(units, members):
            for other in others:
                together.join(first, other)
    named = _named(units, together.sets())
    kept = (Cluster(found.name, tuple(path for path in found.units if path in left)) for found in named)
    return [cluster for cluster in kept if cluster.units]


class _Together:
    """Disjoint sets of paths. Those of different libraries, as far as these are known, stay apart."""

    def __init__(self, owners: Mapping[str, frozenset[str]]) -> None:
        self._parent = {path: path for path in owners}
        self._owners = dict(owners)

    def find(self, path: str) -> str:
        while self._parent[path] != path:
            path = self._parent[path]
        return path

    def join(self, first: str, second: str) -> None:
        low, high = sorted((self.find(first), self.find(second)))
        ours, theirs = self._owners[low], self._owners[high]
        if ours and theirs and not ours & theirs:
            return
        self._parent[high] = low
        self._owners[low] = ours | theirs

    def sets(self) -> list[tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for path in sorted(self._parent):
            found.setdefault(self.find(path), []).append(path)
        return [tuple(paths) for paths in found.values()]


def _subject_folder(units: Units, path: str) -> str:
    """The folder of `path` below the source root, without the folders that stand for a variant."""
    below = dirname(units.layout.origin(path)).removeprefix(units.layout.source_root).strip("/")
    return "/".join(part for part in below.split("/") if part not in _VARIANTS)


def _collect(pairs: Iterable[tuple[object, str]]) -> list[list[str]]:
    found: dict[object, list[str]] = {}
    for key, path in pairs:
        found.setdefault(key, []).append(path)
    return [paths for paths in found.values() if len(paths) > 1]


def _same_stem(units: Units, members: list[str]) -> list[list[str]]:
    """csrc/activation_kernels.cu and csrc/cpu/activation.cpp."""
    return _collect(((units.domain(path), _subject_folder(units, path), group_key(path)), path) for path in members)


def _same_folder(units: Units, members: list[str]) -> list[list[str]]:
    """A folder of its own, without subfolders that hold units: quantization/gptq/."""
    places = {path: dirname(units.layout.origin(path)) for path in members}
    folders = set(places.values())
    holders = {above for folder in folders for above in _above(folder)}
    own = [
        folder
        for folder in folders
        if folder.removeprefix(units.layout.source_root).strip("/")
        and basename(folder) not in _VARIANTS
        and folder != units.domain(f"{folder}/x")
        and folder not in holders
    ]
    found = _collect((folder, path) for path, folder in places.items() if folder in own)
    return [paths for paths in found if len(paths) <= _LARGEST_FOLDER]


def _above(folder: str) -> Iterator[str]:
    """The folders that hold `folder`, without the root."""
    while folder := dirname(folder):
        yield folder


def _same_header(units: Units, members: list[str]) -> list[list[str]]:
    """Units that alone include a header: one with unstable names next to them all, or one that another unit implements.

    attention/attention_kernels.cuh is the first kind; permute/permute_kernel.h next to permute_kernel.cu the second.
    """
    known = set(members)
    origin = units.layout.origin
    headers: dict[str, set[str]] = {}  # by where they came from
    for header in sorted({header for path in members for header in units.graph.direct(path)}):
        headers.setdefault(origin(header), set()).add(header)
    found = []
    for place, forms in headers.items():
        folder = dirname(place)
        if place in units.layout.legacy_declarations or folder in (units.layout.source_root, units.domain(place)):
            continue
        users = known & frozenset[str]().union(*map(units.users, forms))
        own = {path for path in users if dirname(origin(path)) == folder}
        implemented = any(splitext(origin(path))[0] == splitext(place)[0] for path in own)
        uses_torch = any(units.is_unstable(header) or units.is_finished(header) for header in forms)
        if (own == users and uses_torch) or (implemented and len(users) <= _MOST_USERS):
            found += _by_domain(units, users)
    return found


def _same_op(units: Units, members: list[str]) -> list[list[str]]:
    """Units that implement one op for different dispatch keys."""
    implementations: dict[object, set[str]] = {}
    alike = Counter(_named_library(units, file) for file in units.bindings.values() if file.exclusive)
    for file in (*units.bindings.values(), *units.stable_bindings):
        # several files may open a library of one name, each its own
        is_one_of_several = file.exclusive and alike[_named_library(units, file)] > 1
        library: object = file.path if is_one_of_several else _named_library(units, file)
        for op, function in file.implements:
            if function:
                implementations.setdefault((library, op), set()).add(function)
    several = [functions for functions in implementations.values() if len(functions) > 1]
    definers = _definers(units, members, frozenset().union(*several))
    found = [sorted({path for name in functions for path in definers.get(name, ())}) for functions in several]
    return [part for paths in found if paths for part in _by_domain(units, paths)]


def _named_library(units: Units, file: Registrations) -> tuple[str, tuple[str, ...]]:
    return units.domain(file.path), file.libraries[:1]


def _calls(units: Units, members: list[str]) -> list[list[str]]:
    """A unit that declares a function itself, and the unit that defines it, or whose own header does."""
    declared: dict[str, set[str]] = {}
    for path in members:
        for match in _PROTOTYPE.finditer(units.snapshot.document(path).code):
            declared.setdefault(match.group("name").decode(), set()).add(path)
    definers = _definers(units, members, frozenset(declared), with_headers=True)
    return [
        part
        for name, paths in declared.items()
        if name in definers
        for part in _by_domain(units, {*paths, *definers[name]})
    ]


def _python_module(units: Units, members: list[str]) -> list[list[str]]:
    """A unit with a Python module and functions of its own, and the units of the others that the module registers.

    The module becomes registrations where it is, and they need all of their functions.
    """
    modules = [p for p in members if p in units.bindings and b"PYBIND11_MODULE" in units.snapshot.read(p)]
    functions = frozenset[str]().union(*(units.bindings[path].functions for path in modules))
    definers = _definers(units, members, functions)
    found = []
    for path in modules:
        owners = (owner for name in units.bindings[path].functions for owner in definers.get(name, ()))
        found += _by_domain(units, {path, *owners})
    return found


def _bound_header(units: Units, members: list[str]) -> list[list[str]]:
    """Units on top of which one header defines what others register: the header moves with all of them or stays."""
    known = set(members)
    return [part for owners in owners_by_header(units).values() for part in _by_domain(units, known & owners)]


def _definers(
    units: Units, members: list[str], functions: frozenset[str], *, with_headers: bool = False
) -> dict[str, list[str]]:
    """The units that define each of `functions`, in themselves or, `with_headers`, in a header they include."""
    found: dict[str, list[str]] = {}
    for path in members if functions else ():
        for file in (path, *(units.graph.direct(path) if with_headers else ())):
            for name in defines(units.snapshot.document(file), functions):
                found.setdefault(name, []).append(path)
    return found


def _by_domain(units: Units, paths: Iterable[str]) -> list[list[str]]:
    return _collect((units.domain(path), path) for path in sorted(paths))


def _named(units: Units, sets: list[tuple[str, ...]]) -> list[Cluster]:
    names = [_name(units, paths) for paths in sets]
    counts = Counter(names)
    found: list[Cluster] = []
    used: set[str] = set()
    for name, paths in zip(names, sets, strict=True):
        folder = _subject_folder(units, paths[0])
        # Of several with one name, the one directly below the source root keeps it.
        chosen = f"{folder}/{name}" if counts[name] > 1 and folder else name
        if chosen in used:
            chosen = next((key for key in map(group_key, paths) if key not in used), chosen)
        while chosen in used:
            chosen += "_2"
        used.add(chosen)
        found.append(Cluster(chosen, paths))
    return found


def _name(units: Units, paths: tuple[str, ...]) -> str:
    paths = tuple(map(units.layout.origin, paths))
    keys = sorted({group_key(path) for path in paths})
    # cpu/mxfp8_moe.cpp next to moe/mxfp8_moe/*.cu: the folder that is no variant names both.
    folders = {dirname(path) for path in paths if basename(dirname(path)) not in _VARIANTS}
    folder = basename(next(iter(folders))) if len(folders) == 1 else ""
    has_folder = bool(folder) and folder != basename(units.layout.source_root)
    if len(keys) == 1:
        return folder if has_folder and keys[0] in _GENERIC else keys[0]
    common = _common_words(keys)
    if len(common) > 2:
        return common
    return folder if has_folder else keys[0]


def _common_words(keys: list[str]) -> str:
    """The words all names begin with: "paged_attention" of "paged_attention_v1" and "paged_attention_v2"."""
    words: list[str] = []
    for several in zip(*(key.split("_") for key in keys), strict=False):
        if len(set(several)) > 1:
            break
        words.append(several[0])
    return "_".join(words)
