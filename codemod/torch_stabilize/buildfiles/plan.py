"""One group's change to the build and to Python: every room of this folder, joined into one Change."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from types import MappingProxyType

from torch_stabilize.buildfiles.cmake.plan import plan_cmake
from torch_stabilize.buildfiles.codes import COMPUTED_SOURCES, NOT_FOUND
from torch_stabilize.buildfiles.generators import plan_generators
from torch_stabilize.buildfiles.jit.inline import inline_code
from torch_stabilize.buildfiles.jit.plan import plan_jit
from torch_stabilize.buildfiles.kernels.plan import plan_kernels
from torch_stabilize.buildfiles.mentions import names_one_of, plan_mentions
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.python.compiled import compiled_sources
from torch_stabilize.buildfiles.requirements import plan_requirements
from torch_stabilize.buildfiles.setup.evaluate.read import read_setup_file
from torch_stabilize.buildfiles.setup.plan import plan_setup
from torch_stabilize.buildfiles.setup.result import SetupResult
from torch_stabilize.model import Change, Diagnostic, FileEdit, Move, Severity, Span
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot
from torch_stabilize.repository.stable_target import short_name, version_macro

_NONE: Mapping[str, Mapping[str, str]] = MappingProxyType({})


def plan_build(
    snapshot: Snapshot,
    layout: Layout,
    group: Group,
    moves: Sequence[Move],
    *,
    target: str,
    created: Sequence[str] = (),
    pybind: Mapping[str, str] | None = None,
    bound_by: Mapping[str, str] | None = None,
    python_module: str = "",
    later: Set[str] = frozenset(),
    scripts: Mapping[str, Mapping[str, str]] = _NONE,
) -> Change:
    """Everything outside of the C++ sources that a group's migration changes.

    `moves` maps legacy paths to new ones for units and headers; it is empty for a migration in place. `created` are
    new units of the stable target, such as its bindings; `pybind` maps functions that Python called through a legacy
    module to their operators ("fwd": "namespace::fwd"), `bound_by` names the module of each, `python_module` is what
    Python imports in place of the stable library, "" for the library itself. What else builds the units in `later`
    gives them up later on. `scripts` write units of the group, each with include lines that become others. Offsets are
    those of the files as read. Raises Refusal for a build file that cannot be parsed.
    """
    renames = {move.old: move.new for move in moves}
    renames.update({unit: unit for unit in group.units if unit not in renames})
    moving = Moving(layout, renames, group.units, created, target, frozenset(later))
    cmake = plan_cmake(snapshot, moving)
    edits: list[FileEdit] = list(cmake.edits)
    diagnostics: list[Diagnostic] = list(cmake.diagnostics)
    setups = [
        plan_setup(snapshot, path, moving, through_cmake=bool(cmake.owned), widened=cmake.widened)
        for path in layout.setup_files
    ]
    setups += [one for path in layout.setup_files for one in _helpers(snapshot, path, moving)]
    for setup in setups:
        edits.extend(setup.edits)
        diagnostics.extend(setup.diagnostics)
    for variant in _variants(layout, cmake.made):
        for path in layout.setup_files:
            more = plan_setup(snapshot, path, moving._replace(layout=variant), through_cmake=True)
            edits.extend(edit for edit in more.edits if edit not in edits)
    jit = plan_jit(snapshot, moving)
    edits.extend(jit.edits)
    diagnostics.extend(jit.diagnostics)
    headers = {*renames, *group.moving_headers} - set(group.units)
    near = {path for path, _ in layout.entries} if layout.is_compiled_at_import else set()
    diagnostics.extend(inline_code(snapshot, layout.project_root, headers, near))
    kernels = plan_kernels(snapshot, moving)
    edits.extend(kernels.edits)
    diagnostics.extend(kernels.diagnostics)
    owned = cmake.owned.union(jit.owned, kernels.owned, *(setup.owned for setup in setups))
    diagnostics.extend(_unowned(snapshot, layout, group, renames, owned, diagnostics, target))
    if owned:
        required, asked = plan_requirements(snapshot, layout.project_root, target)
        edits.extend(required)
        diagnostics.extend(asked)
    exists = cmake.has_stable or any(setup.has_stable for setup in setups)
    is_replaced = layout.is_whole or any(setup.replaced for setup in setups)
    imports: tuple[FileEdit, ...] = ()
    # elsewhere, what loads the legacy library loads the stable one already
    from torch_stabilize.buildfiles.python.sites import plan_imports

    is_made = not layout.variants or short_name(layout.stable_library) in cmake.made
    if (is_made and not exists) or cmake.widened or pybind or python_module:
        named = [*(name for setup in setups for name in setup.names), *sorted(set((bound_by or {}).values()))]
        for part, functions in _by_module(layout, pybind or {}, bound_by or {}):
            edited, listed = plan_imports(
                snapshot, part, named,
                is_new=is_made and not exists, is_gone=is_replaced, widened=cmake.widened,
                units=group.units, functions=functions, python_module=python_module,
            )  # fmt: skip
            imports += tuple(edit for edit in edited if edit not in imports)
            diagnostics.extend(one for one in listed if one not in diagnostics)
    names = [name for setup in setups for name in setup.names]
    for variant in _variants(layout, cmake.made):
        edited, listed = plan_imports(
            snapshot, variant, names, is_new=True, is_gone=is_replaced, widened=(), units=group.units, functions={},
        )  # fmt: skip
        imports += tuple(edit for edit in edited if edit not in imports)
        diagnostics.extend(one for one in listed if one not in diagnostics)
    mentioned, stale = plan_mentions(snapshot, layout, renames)
    if not jit.owned:
        diagnostics.extend(_compiled_at_import(snapshot, layout, renames, target))
    generated, unread = plan_generators(snapshot, layout, group.units, target, scripts)
    edits.extend((*imports, *_apart(mentioned, imports, edits), *_apart(generated, mentioned, edits)))
    diagnostics.extend((*stale, *unread))
    return Change(f"build files for {group.name}", tuple(edits), diagnostics=tuple(diagnostics))


def _helpers(snapshot: Snapshot, path: str, moving: Moving) -> list[SetupResult]:
    """The edits of other modules that make extensions for a setup file; none where it makes them itself."""
    if all(one.entry.file in moving.layout.setup_files for one in read_setup_file(snapshot, path).entries):
        return []
    from torch_stabilize.buildfiles.setup.computed.attempts import plan_helpers

    return plan_helpers(snapshot, path, moving)


def _variants(layout: Layout, made: Set[str]) -> list[Layout]:
    """`layout` for each variant of the library whose stable counterpart is new."""
    counterparts = [(name, layout.counterparts[name]) for name in layout.variants]
    return [
        replace(layout, legacy_library=name, stable_library=stable, variants=())
        for name, stable in counterparts
        if short_name(stable) in made
    ]


def _by_module(
    layout: Layout, functions: Mapping[str, str], bound_by: Mapping[str, str]
) -> Iterator[tuple[Layout, Mapping[str, str]]]:
    """The functions of the library's own module, and those of other modules that move with it, each with its layout."""
    known = {library.name for library in layout.libraries}
    modules = {name: short_name(module) for name, module in bound_by.items()}
    elsewhere = {name: module for name, module in modules.items() if module in known - {layout.legacy_library}}
    yield layout, {name: operator for name, operator in functions.items() if name not in elsewhere}
    for module in sorted(set(elsewhere.values())):
        theirs = {name: operator for name, operator in functions.items() if elsewhere.get(name) == module}
        yield replace(layout, legacy_library=module), theirs


def _compiled_at_import(
    snapshot: Snapshot, layout: Layout, renames: Mapping[str, str], target: str
) -> Iterator[Diagnostic]:
    """The Python files that compile a unit when they are imported."""
    names_one = names_one_of({posixpath.basename(old) for old in renames})
    for path in snapshot.below("", (".py",)):
        if path not in layout.setup_files and names_one(data := snapshot.read(path)):
            yield from compiled_sources(path, data, renames, version_macro(target))


def _apart(found: Sequence[FileEdit], *others: Sequence[FileEdit]) -> list[FileEdit]:
    """Those edits that touch no byte that another room edits: the other room knew more about it."""
    taken = [edit for room in others for edit in room]
    return [
        edit
        for edit in found
        if not any(
            edit.path == other.path
            and edit.edit.span.start < other.edit.span.end
            and other.edit.span.start < edit.edit.span.end
            for other in taken
        )
    ]


def _unowned(
    snapshot: Snapshot,
    layout: Layout,
    group: Group,
    renames: Mapping[str, str],
    owned: frozenset[str],
    said: Sequence[Diagnostic],
    target: str,
) -> list[Diagnostic]:
    """Units that no build file names: what a person has to add, once."""
    missing = [unit for unit in group.units if unit not in owned]
    build_files = (*layout.cmake_files, *layout.setup_files)
    if not missing or not build_files or any(d.code == COMPUTED_SOURCES for d in said):
        return []
    lines = "\n".join(f"  {renames[unit]}" for unit in missing)
    if layout.is_whole:
        macros = f"TORCH_TARGET_VERSION={version_macro(target)} and, for CUDA, USE_CUDA"
        return [
            Diagnostic(
                NOT_FOUND, Severity.ERROR, build_files[0], Span(0, 0),
                f"no build file names what makes {layout.legacy_library}: which call it is cannot be told",
                f"Define these macros for it: {macros}.",
            )
        ]  # fmt: skip
    return [
        Diagnostic(
            NOT_FOUND, Severity.ERROR, *_unread_place(snapshot, layout),
            f"no build file names {', '.join(missing)}: which target builds it cannot be told",
            f"Take it out of the target that builds it, and add to {layout.stable_library}:\n{lines}",
        )
    ]  # fmt: skip


def _unread_place(snapshot: Snapshot, layout: Layout) -> tuple[str, Span]:
    """Where a CMake file makes libraries that cannot be told, else the beginning of the first build file."""
    from torch_stabilize.buildfiles.cmake.entries import read_cmake_entries

    entries = read_cmake_entries(snapshot, layout.cmake_files)[0] if layout.cmake_files else ()
    gaps = [gap for entry in entries if not entry.name for gap in entry.gaps]
    first = (*layout.cmake_files, *layout.setup_files)[0]
    return (gaps[0].path, gaps[0].span) if gaps else (first, Span(0, 0))
