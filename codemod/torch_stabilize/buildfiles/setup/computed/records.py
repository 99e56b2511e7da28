"""A call whose extension is split where it is made, as the evaluator read it before and after the files move."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.model import Abi, BuildEntry, GapKind, When
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.python.syntax import dotted_name
from torch_stabilize.buildfiles.setup.create import argument_names
from torch_stabilize.buildfiles.setup.evaluate.read import SetupEntry, read_setup_file
from torch_stabilize.buildfiles.setup.evaluate.values import beyond, joined
from torch_stabilize.buildfiles.setup.model import Extension, SetupModel
from torch_stabilize.repository.snapshot import Snapshot

if TYPE_CHECKING:
    import libcst as cst


class Split(NamedTuple):
    """A call that makes a legacy extension of sources that move.

    `moving` says for each of them where it is one, beyond where the extension is made: None where that takes more than
    one set of conditions. `named` are those whose names are in the list even where the file has gone, which no look
    into a folder finds; `found` are files that are found at their new place. A call with a `guard` makes other
    extensions too: the guard holds where it makes this one. `is_plain` says that the list has strings, which are paths
    as they are from the folder of setup.py.
    """

    extension: Extension
    entry: BuildEntry
    moving: Mapping[str, When | None]
    named: frozenset[str]
    found: frozenset[str]
    guard: str
    is_plain: bool

    @property
    def is_open(self) -> bool:
        """Whether something is put into the list, or taken out of it, that is not known."""
        return bool(self.entry.gaps)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it stays behind."""
        return not self.is_open and {source.path for source in self.entry.sources} == set(self.moving)


def splits_of(model: SetupModel, moving: Moving, extensions: Sequence[Extension]) -> list[Split]:
    """The calls that make legacy extensions of units; none where one of them is not understood."""
    import libcst as cst

    path = model.file.path
    read = read_setup_file(model.snapshot, model.setup)
    if any(gap.kind is GapKind.FILE for gap in read.gaps):
        return []
    later = {_key(one): one.entry for one in read_setup_file(_moved(model.snapshot, moving), model.setup).entries}
    calls = {model.file.span(call): call for call in model.file.find(cst.Call)}
    legacy = [one for one in read.entries if one.entry.abi is Abi.LEGACY]
    found = []
    for one in legacy:
        if not any(source.path in moving.units for source in one.entry.sources):
            continue
        call = calls.get(one.entry.span) if one.entry.file == path else None
        names = [other.entry.module for other in legacy if _key(other)[:2] == _key(one)[:2]]
        if call is None or not one.entry.module or names.count(one.entry.module) > 1:
            return []
        extension = _extension(model, call, one.entry, extensions)
        guard = _guard(model, extension, one.entry) if len(names) > 1 else ""
        after = later.get(_key(one))
        if guard is None or after is None:
            return []
        found.append(_split(model, moving, one, after, extension, guard))
    return found


def extensions_in_classes(model: SetupModel) -> list[Extension]:
    """The extension modules that methods of classes make, which the model leaves out."""
    import libcst as cst

    entries = [one.entry for one in read_setup_file(model.snapshot, model.setup).entries]
    spans = {entry.span: entry for entry in entries if entry.file == model.file.path}
    found = []
    for call in model.file.find(cst.Call):
        entry = spans.get(model.file.span(call))
        if entry is not None and model.file.enclosing(call, cst.ClassDef) is not None:
            one = model.extension(call)
            if one is not None:
                found.append(one._replace(name=one.name or entry.module))
    return found


def _split(
    model: SetupModel, moving: Moving, one: SetupEntry, after: BuildEntry, extension: Extension, guard: str
) -> Split:
    entry, units = one.entry, set(moving.units)
    whens: dict[str, list[When]] = {}
    for source in entry.sources:
        if source.path in units:
            whens.setdefault(source.path, []).append(beyond(source.when, entry.when))
    decided = {unit: rows[0] if len(rows := joined(found)) == 1 else None for unit, found in whens.items()}
    later = {source.path for source in after.sources}
    again = later & {*(new for old, new in moving.renames.items() if old != new), *moving.created}
    plain = {(path, posixpath.relpath(path, model.folder or "."), False) for path, _, _ in one.spelled}
    return Split(
        extension, entry, decided, frozenset(later & units), frozenset(again), guard, set(one.spelled) <= plain
    )  # fmt: skip


def _key(one: SetupEntry) -> tuple[str, object, str]:
    return one.entry.file, one.entry.span, one.entry.module


def _moved(snapshot: Snapshot, moving: Moving) -> Snapshot:
    """The tree with its files at their new places."""
    gone = {old for old, new in moving.renames.items() if old != new}
    files = sorted({*snapshot.files, *moving.renames.values(), *moving.created} - gone)
    return replace(snapshot, files=tuple(files))


def _extension(model: SetupModel, call: cst.Call, entry: BuildEntry, known: Sequence[Extension]) -> Extension:
    """The call as the model has it, by the name that this extension gets."""
    same = [one for one in known if one.call is call]
    one = next((one for one in same if one.name == entry.module), same[0] if same else None)
    if one is not None:
        return one._replace(name=entry.module, elements=(), computed=(), links=(), globs=(), round=None)
    sources = argument_names(call).get("sources")
    value = sources.value if sources is not None else None
    kind = dotted_name(call.func).rpartition(".")[2]
    return Extension(entry.module, kind, call, model.file.conditions(call), value, (), (), ())


def _guard(model: SetupModel, extension: Extension, entry: BuildEntry) -> str | None:
    """What holds where the call makes this one of several extensions; None where their names do not tell."""
    name = argument_names(extension.call).get("name")
    return f'{model.file.text(name.value)} == "{entry.module}"' if name is not None else None
