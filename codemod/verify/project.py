"""What the build files say of the libraries, as what has to be compiled here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from posixpath import dirname, normpath

from codemod.bindings.read import read_bindings
from codemod.repository.sources import include_graph
from codemod.repository.targets import Target, read_targets
from codemod.repository.units import Units
from codemod.verify.build import CUDA_SUFFIX
from codemod.verify.sides import Library
from codemod.verify.trees import Tree

_OF_GPU = re.compile(r"CUDA|GPU|NVCC|HIP|ROCM|MUSA|XPU", re.I)
_OF_OTHER_GPU = re.compile(r"HIP|ROCM|MUSA|XPU|METAL|MPS", re.I)
_DEFINED = re.compile(r"#(?:ifdef|if defined)[\s(]+(?P<name>\w+)\s*\)?")
_NEGATED = re.compile(r"^\s*(?:NOT\b|not\b|!)")


@dataclass(frozen=True)
class Libraries:
    """The two libraries of a tree; None where a tree has no such library."""

    legacy: Library | None
    stable: Library | None


def read_libraries(
    tree: Tree,
    units: Iterable[str],
    *,
    with_cuda: bool,
    includes: tuple[str, ...],
    defines: tuple[str, ...] = (),
    legacy: str | None = None,
) -> Libraries:
    """The library that owns the legacy `units` of a group, or is called `legacy`, and the stable one.

    `with_cuda` says that sources of GPU builds can be linked; otherwise, only CUDA sources stay, to be compiled.
    Projects whose build files compute their sources get every unit of the folder.
    """
    layout = tree.layout
    if with_cuda:
        defines = (*defines, *(name for name in gpu_macros(tree) if name not in defines))
    targets = read_targets(tree.snapshot, layout)
    wanted = set(units)
    owners = [target for target in targets if not target.is_stable and wanted & {s.path for s in target.sources}]
    name = legacy or (owners[0].name.rpartition(".")[2] if owners else layout.legacy_library)
    everything = Units(tree.snapshot, tree.layout, tree.config)
    before = _sources(targets, name, False, with_cuda) or everything.legacy
    stable = _sources(targets, layout.stable_library, True, with_cuda)
    stable = stable or tuple(unit for unit in everything.all if layout.is_stable(unit))
    # A source belongs to one library; what stands in both build files' targets was moved in one of them alone.
    present = tree.snapshot.exists
    return Libraries(
        _library(name, [unit for unit in before if present(unit) and unit not in stable], includes, defines),
        _library(layout.stable_library, [unit for unit in stable if present(unit)], includes, defines),
    )


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
    """The folders of `tree` that its build must search: those a file is included from that stands elsewhere.

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


def _library(name: str, units: Iterable[str], includes: tuple[str, ...], defines: tuple[str, ...]) -> Library | None:
    units = tuple(units)
    return Library(name, units, includes, defines) if units else None


def _sources(targets: Iterable[Target], name: str, stable: bool, with_cuda: bool) -> tuple[str, ...]:
    """The sources of the first build system that names the library with its sources spelled out."""
    for target in targets:
        same = target.name.rpartition(".")[2] == name or (stable and target.is_stable)
        if same and target.is_stable == stable and not target.is_computed and target.sources:
            return tuple(
                dict.fromkeys(
                    source.path for source in target.sources if _wanted(source.path, source.conditions, with_cuda)
                )
            )
    return ()


def _wanted(path: str, conditions: tuple[str, ...], with_cuda: bool) -> bool:
    """Whether a source is part of the build this machine can do: CUDA where it can be compiled, never another GPU's."""
    positive = [condition for condition in conditions if not _NEGATED.match(condition)]
    if any(_OF_OTHER_GPU.search(condition) and not re.search("CUDA", condition, re.I) for condition in positive):
        return False
    return path.endswith(CUDA_SUFFIX) or with_cuda or not any(_OF_GPU.search(condition) for condition in positive)
