"""Where a group's files are afterwards: moved to the stable folder, or in place, whole or split.

An extension of which everything that uses torch migrates is converted where it is: same files, same module. One of
which something stays gets a second library next to it, and the files that migrate are left where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from posixpath import commonpath, dirname
from typing import NamedTuple

from torch_stabilize.buildfiles.kernels.read import SYSTEM as KERNELS
from torch_stabilize.buildfiles.model import Abi, EntryKind, Library
from torch_stabilize.layout.decision import Part
from torch_stabilize.layout.extension import STABLE_FOLDER
from torch_stabilize.layout.read import Program, is_built_stable
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.program.abi import abi_of
from torch_stabilize.repository.codes import REGISTERS_ONLY, SPLIT_IN_PLACE, WHOLE_IN_PLACE
from torch_stabilize.repository.layout import Form, Group, Layout
from torch_stabilize.repository.registrations import registrations_of
from torch_stabilize.repository.sources import BESIDE_FOLDERS, join
from torch_stabilize.repository.unstable import holds_unstable_names, is_stable_text
from torch_stabilize.source.document import UNIT_SUFFIXES
from torch_stabilize.source.heads import defines

_UNSTABLE = (Abi.LEGACY, Abi.MIXED)


class Placement(NamedTuple):
    """How a group migrates. `reason` says why its libraries are not converted as a whole, "" where they are.

    There are several where units are built into each of them. `along` are the units of a whole library that nobody
    asked for and that are converted with it: files of registrations, and units that see torch through headers alone.
    """

    form: Form
    libraries: tuple[Library, ...] = ()
    along: tuple[str, ...] = ()
    reason: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether everything of the libraries that uses torch migrates."""
        return bool(self.libraries) and not self.reason


def is_in_place(program: Program, layout: Layout, asked: bool | None, units: Iterable[str] = ()) -> bool:
    """Whether files stay where they are: as `asked`, else as configured, else as stable units are there already.

    Of `units`, what is built for the stable ABI alone has its place, whatever else is in the stable folder.
    """
    if asked is not None:
        return asked
    units = tuple(units)
    if units and all(_is_alone(program, unit) for unit in units):
        return True
    if any(not layout.is_stable(unit) and is_built_stable(program.snapshot, unit) for unit in units):
        return True
    if units and all(not layout.is_stable(unit) and _waits_for_its_build(program, unit) for unit in units):
        return True
    if program.config.in_place is not None:
        return program.config.in_place
    moved = (
        path for path in program.snapshot.below(layout.stable_root, UNIT_SUFFIXES) if path != layout.stable_bindings
    )
    if program.config.stable_root is not None or any(moved):
        return False  # bindings and headers of helpers are written to that folder in any case
    units = (unit for library in program.libraries for unit in library.units)
    in_their_place = (unit for unit in units if STABLE_FOLDER not in unit.split("/"))
    return any(program.snapshot.exists(p) and is_stable_text(program.snapshot.read(p)) for p in in_their_place)


def _waits_for_its_build(program: Program, unit: str) -> bool:
    """Whether it is stable code that nothing builds: out of the legacy library, its own entry left by hand."""
    is_there = unit not in program.by_unit and program.snapshot.exists(unit)
    return is_there and is_stable_text(program.snapshot.read(unit))


def _is_alone(program: Program, unit: str) -> bool:
    """Whether nothing builds `unit` that could have a second library: Python itself does, or kernel-builder."""
    entries = [entry for library, _ in program.by_unit.get(unit, ()) for entry in library.entries]
    return bool(entries) and all(entry.kind is EntryKind.JIT or entry.system == KERNELS for entry in entries)


def place_group(program: Program, layout: Layout, group: Group, *, in_place: bool) -> Placement:
    """The form in which `group` migrates, and whether its libraries could be converted as a whole."""
    homes = _homes(program, group)
    if isinstance(homes, str):
        return Placement(Form.SPLIT_IN_PLACE if in_place else Form.MOVED, (), (), homes)
    reason, along = _whole(program, layout, group, homes)
    form = Form.MOVED if not in_place else Form.SPLIT_IN_PLACE if reason else Form.WHOLE_IN_PLACE
    return Placement(form, homes, () if reason else along, reason)


def joined(program: Program, layout: Layout, group: Group, parts: Sequence[Part]) -> tuple[Part, ...]:
    """`parts` of which those that share units or a build call are one part, where they migrate in place as a whole."""

    def placed(units: Iterable[str]) -> Placement:
        return place_group(program, layout, group._replace(units=tuple(units)), in_place=True)

    done, whole = list[Part](), list[tuple[Part, Placement]]()
    for cluster in _clusters([(part, frozenset(part.units)) for part in parts]):
        units = dict.fromkeys(unit for part in cluster for unit in part.units)
        placement = placed(units)
        if placement.is_whole:
            whole.append((Part(cluster[0].library, tuple(units)), placement))
        else:
            done += cluster
    for together in _clusters([(part, _calls(placement.libraries)) for part, placement in whole]):
        units = dict.fromkeys(unit for part in together for unit in part.units)
        done.append(Part(together[0].library, tuple(units)))
    return tuple(done)


def _clusters(parts: Sequence[tuple[Part, Set[object]]]) -> list[list[Part]]:
    """Parts that share something, directly or through others, by what each of them has."""
    found: list[tuple[list[Part], set[object]]] = []
    for part, has in parts:
        near = [one for one in found if one[1] & has]
        found = [one for one in found if one not in near]
        members = [*(member for one in near for member in one[0]), part]
        found.append((members, set(has).union(*(one[1] for one in near))))
    return [members for members, _ in found]


def _calls(libraries: Iterable[Library]) -> frozenset[tuple[str, int]]:
    """The calls in build files that make `libraries`."""
    return frozenset((entry.file, entry.span.start) for library in libraries for entry in library.entries)


def _homes(program: Program, group: Group) -> tuple[Library, ...] | str:
    """The libraries that the units of `group` are built into, or why there is none."""
    found: dict[tuple[str, str], Library] = {}
    unread: list[str] = []
    for unit in group.units:
        owners = [library for library, _ in program.by_unit.get(unit, ()) if _is_loaded(library)]
        found |= {library.key: library for library in owners}
        if not owners:
            unread.append(unit)
    open_ended = [one for one in program.libraries if program.has_gap(one) and _is_loaded(one)]
    if not found and len(open_ended) == 1:
        return (open_ended[0],)
    if not found or (unread and not any(program.has_gap(one) for one in found.values())):
        return f"no build file that was read names {(unread or ['its units'])[0]}"
    return tuple(found.values())


def _is_loaded(library: Library) -> bool:
    return any(entry.kind is not EntryKind.PROGRAM for entry in library.entries) and bool(library.name)


def _name(library: Library) -> str:
    return library.module or library.name


def _names(placement: Placement) -> str:
    names = sorted(map(_name, placement.libraries))
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def _whole(program: Program, layout: Layout, group: Group, libraries: Sequence[Library]) -> tuple[str, tuple[str, ...]]:
    """Why `libraries` are not converted as a whole with `group`, "" where they are, and what is converted along."""
    asked, along = set(group.units), list[str]()
    ours = {library.key for library in libraries}
    members = dict.fromkeys(unit for library in libraries for unit in _members(program, layout, library))
    for unit in members:
        if not program.snapshot.exists(unit) or not unit.endswith(UNIT_SUFFIXES):
            continue
        others = [one for one, _ in program.by_unit.get(unit, ()) if one.key not in ours and _is_loaded(one)]
        if unit in asked:
            if others:
                return f"{unit} is built into {_name(others[0])} too", ()
        elif abi_of(program, unit) in _UNSTABLE:
            if holds_unstable_names(program.snapshot.document(unit)) and not _only_registers(program, unit):
                return f"{unit}, which is built into it, uses torch and was not asked for", ()
            along.append(unit)
    return "", tuple(along)


def _members(program: Program, layout: Layout, library: Library) -> Iterable[str]:
    """The units of a library; where its sources could not be read, all that may be among them."""
    known = sorted(library.units)
    if not program.has_gap(library):
        return known
    project = f"{library.project}/" if library.project else ""
    may_be = (
        path
        for path in program.files
        if path.endswith(UNIT_SUFFIXES)
        and path.startswith((project, f"{layout.source_root}/"))
        and path not in program.by_unit
        and not program.graph.includers(path)
        and not BESIDE_FOLDERS.intersection(path.split("/"))
        and not layout.is_stable(path)
    )
    return (*known, *may_be)


def _only_registers(program: Program, unit: str) -> bool:
    """Whether `unit` registers operators and does nothing else that a library would miss."""
    document = program.snapshot.document(unit)
    found = registrations_of(program.snapshot, unit)
    return found is not None and not found.stable and not defines(document, found.functions)


# -- the layout of a library that is converted as a whole ----------------------------------------------------------


def whole_layout(program: Program, layout: Layout, placement: Placement, units: Sequence[str]) -> Layout:
    """`layout` for libraries that keep their names, files and headers: only helpers are new."""
    names = [library.name for library in placement.libraries]
    name = layout.legacy_library if layout.legacy_library in names else names[0]
    folder = _common_folder(units)
    bindings = next((path for path in layout.legacy_bindings if path in units), layout.stable_bindings)
    home = tuple(replace(one, stable_name=one.name) for one in layout.libraries if one.name in names)
    others = tuple(one for one in layout.libraries if one.name not in names)
    entries = _calls(placement.libraries)
    shared = entries & _calls(library for library in program.libraries if library not in placement.libraries)
    made = [entry for library in placement.libraries for entry in library.entries]
    kernels = tuple(dict.fromkeys(entry.file for entry in made if entry.system == KERNELS))
    files = dict.fromkeys(e.file for e in made if e.kind is not EntryKind.JIT and e.system != KERNELS)
    unlisted = [path for path in files if path not in (*layout.cmake_files, *layout.setup_files)]
    return replace(
        layout,
        form=Form.WHOLE_IN_PLACE,
        legacy_library=name,
        stable_library=name,
        stable_bindings=bindings,
        stable_helpers=join(folder, "stable_utils.h"),
        stable_dispatch=join(folder, "stable_dispatch.h"),
        libraries=(*home, *others),
        cmake_files=(*layout.cmake_files, *(path for path in unlisted if not path.endswith(".py"))),
        setup_files=(*layout.setup_files, *(path for path in unlisted if path.endswith(".py"))),
        entries=tuple(sorted(entries)),
        kernel_files=kernels,
        is_compiled_at_import=all(entry.kind is EntryKind.JIT for entry in made),
        shared_entries=tuple(sorted(shared)),
    )


def _common_folder(units: Sequence[str]) -> str:
    folders = {dirname(unit) for unit in units}
    return folders.pop() if len(folders) == 1 else "" if "" in folders or not folders else commonpath(sorted(folders))


def split_note(placement: Placement, layout: Layout, group: Group) -> Diagnostic:
    """What a person sees where a library was asked for in place and gets a second one next to it."""
    name = _names(placement) if placement.libraries else layout.legacy_library
    is_one = len(placement.libraries) < 2
    return Diagnostic(
        SPLIT_IN_PLACE,
        Severity.WARNING,
        group.units[0] if group.units else group.migrated[0],
        Span(0, 0),
        f"{name} {'is' if is_one else 'are'} not converted as a whole: {placement.reason}; "
        f"{layout.stable_library} is built next to {'it' if is_one else 'them'}",
        f"Ask for all of {'its' if is_one else 'their'} units that use torch, and "
        f"{'it is converted where it is' if is_one else 'they are converted where they are'}.",
    )


def whole_note(placement: Placement, layout: Layout, group: Group, lines: tuple[int, int]) -> Diagnostic:
    """What a person sees who moves a library that could be converted where it is; `lines` change both ways."""
    moved, in_place = lines
    where = "where it is" if len(placement.libraries) == 1 else "where they are"
    return Diagnostic(
        WHOLE_IN_PLACE,
        Severity.NOTE,
        group.units[0],
        Span(0, 0),
        f"{_names(placement)} could be converted {where}: {in_place} changed lines instead of {moved}",
        "Pass --in-place, or set in_place = true in torch-stabilize.toml.",
    )


def registrations_note(path: str) -> Diagnostic:
    """What becomes of a file that was asked for and does nothing but register what other files implement."""
    message = f"{path} holds registrations alone: each moves with what implements it, and the file stays"
    return Diagnostic(REGISTERS_ONLY, Severity.NOTE, path, Span(0, 0), message)
