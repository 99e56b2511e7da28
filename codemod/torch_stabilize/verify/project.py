"""What the build files say of the libraries, as what has to be compiled here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from posixpath import dirname, normpath

from torch_stabilize.bindings.reading.read import read_bindings
from torch_stabilize.program.units import Units
from torch_stabilize.repository.sources import include_graph
from torch_stabilize.verify.side import CUDA_SUFFIX
from torch_stabilize.verify.sides import Library
from torch_stabilize.verify.targets import Target, read_targets
from torch_stabilize.verify.trees import Tree

_OF_GPU = re.compile(r"CUDA|GPU|NVCC|HIP|ROCM|MUSA|XPU", re.I)
_OF_CUDA = re.compile(r"CUDA", re.I)
_OF_OTHER_GPU = re.compile(r"HIP|ROCM|MUSA|XPU|METAL|MPS", re.I)
_DEFINED = re.compile(r"#(?:ifdef|if defined)[\s(]+(?P<name>\w+)\s*\)?")
_NEGATED = re.compile(r"^\s*(?:NOT\b|not\b|!)")


@dataclass(frozen=True)
class Libraries:
    """The libraries of a tree: the legacy ones that a group is about, other legacy ones, and the stable one if any."""

    legacy: tuple[Library, ...]
    others: tuple[Library, ...]
    stable: Library | None


def read_libraries(
    tree: Tree,
    units: Iterable[str],
    *,
    with_cuda: bool,
    includes: tuple[str, ...],
    defines: tuple[str, ...] = (),
    legacy: tuple[str, ...] = (),
) -> Libraries:
    """The libraries that own the legacy `units` of a group, or are called as `legacy` has it, and the stable one.

    `with_cuda` says that a GPU build can be linked here; otherwise sources of GPU builds are told apart from others.
    Projects whose build files compute their sources get every unit of the folder.
    """
    layout = tree.layout
    if with_cuda:
        defines = (*defines, *(name for name in gpu_macros(tree) if name not in defines))
    targets = read_targets(tree.snapshot, layout)
    wanted = set(units)
    owners = [target for target in targets if not target.is_stable and wanted & {s.path for s in target.sources}]
    names = legacy or tuple(dict.fromkeys(map(_short_name, owners))) or (layout.legacy_library,)
    everything = Units(tree.snapshot, tree.layout, tree.config)
    stable_name, stable = _stable_sources(targets, layout.stable_library)
    stable = stable or {unit: False for unit in everything.all if layout.is_stable(unit)}

    def library(name: str, sources: Mapping[str, bool]) -> Library | None:
        units = tuple(unit for unit in sources if tree.snapshot.exists(unit))
        gpu = frozenset(unit for unit in units if sources[unit] and not unit.endswith(CUDA_SUFFIX))
        return Library(name, units, includes, defines, frozenset() if with_cuda else gpu) if units else None

    def libraries(names: Iterable[str]) -> tuple[Library, ...]:
        # A source belongs to one library: what both targets name was moved in one build system alone.
        found = ((name, _legacy_sources(targets, name, everything.legacy)) for name in names)
        made = (library(name, {u: gpu for u, gpu in sources.items() if u not in stable}) for name, sources in found)
        return tuple(one for one in made if one is not None)

    others = dict.fromkeys(_short_name(t) for t in targets if not t.is_stable and not t.is_computed and t.sources)
    return Libraries(
        libraries(names), libraries(name for name in others if name not in names), library(stable_name, stable)
    )


def _short_name(target: Target) -> str:
    return target.name.rpartition(".")[2]


def _legacy_sources(targets: Iterable[Target], name: str, everything: Iterable[str]) -> dict[str, bool]:
    """The sources of the legacy library `name`: all that no other library has, where they are computed."""
    legacy = [target for target in targets if not target.is_stable]
    found = _sources(legacy, name, stable=False)
    if found or (legacy and not any(_short_name(target) == name for target in legacy)):
        return found
    elsewhere = {s.path for target in legacy if _short_name(target) != name for s in target.sources}
    return dict.fromkeys((unit for unit in everything if unit not in elsewhere), False)


def _stable_sources(targets: Iterable[Target], name: str) -> tuple[str, dict[str, bool]]:
    """The name and the sources of the stable library; `name` is what it is called where no target makes it."""
    targets = tuple(targets)
    for target in targets:
        arms = tuple(other for other in targets if other.name == target.name)
        if target.is_stable and (found := _sources(arms, name, stable=True)):
            return _short_name(target), found
    return name, {}


def gpu_macros(tree: Tree) -> tuple[str, ...]:
    """Macros under which the bindings register CUDA kernels: a CUDA build defines them, whatever they are called."""
    found: dict[str, None] = {}
    for path in (*tree.layout.legacy_bindings, tree.layout.stable_bindings):
        if not tree.snapshot.exists(path):
            continue
        for statement in read_bindings(tree.snapshot.document(path)).statements:
            matches = map(_DEFINED.fullmatch, statement.conditions if statement.key == "CUDA" else ())
            found |= {match["name"]: None for match in matches if match is not None}
    return tuple(name for name in found if not _OF_OTHER_GPU.search(name))


def include_folders(tree: Tree) -> tuple[str, ...]:
    """The folders of `tree` that its build must search: those a file is included from that is elsewhere.

    No folder more, or an include that the project's own build does not find would be found here.
    """
    graph = include_graph(tree.snapshot, tree.layout, tree.config)
    needed: set[str] = set()
    for path in graph.closure(Units(tree.snapshot, tree.layout, tree.config).all):
        for include in graph.includes(path):
            beside = normpath(f"{dirname(path)}/{include.name}")
            if include.target is not None and not (include.quoted and include.target == beside):
                root = (
                    r for r in tree.layout.include_roots if normpath(f"{r or '.'}/{include.name}") == include.target
                )
                needed.add(next(root, ""))
    return tuple(root or "." for root in tree.layout.include_roots if root in needed)


def _sources(targets: Iterable[Target], name: str, *, stable: bool) -> dict[str, bool]:
    """The sources of the first build system that spells out those of the library, and whether only GPU builds have it.

    Sources of a build for another GPU than NVIDIA's are left out.
    """
    found: dict[str, bool] = {}
    for target in targets:
        same = target.name.rpartition(".")[2] == name or (stable and target.is_stable)
        if same and target.is_stable == stable and not target.is_computed and target.sources:
            positive = {
                source.path: [text for text in source.conditions if not _NEGATED.match(text)]
                for source in target.sources
            }
            own = {
                path: any(_OF_GPU.search(text) for text in conditions)
                for path, conditions in positive.items()
                if not any(_OF_OTHER_GPU.search(text) and not _OF_CUDA.search(text) for text in conditions)
            }
            # `if with_cuda: CUDAExtension(n, sources) else: CppExtension(n, sources)` is one library, with two targets
            found = {path: is_gpu and own.get(path, True) for path, is_gpu in found.items()} or own
    return found
