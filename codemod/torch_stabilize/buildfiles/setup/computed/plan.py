"""The edits of a setup file whose lists of sources are computed: each extension is split where it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.codes import EXTENSION_CREATED, SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.setup.computed.leaving import Leaving, leave_out
from torch_stabilize.buildfiles.setup.computed.next_to import place_next_to
from torch_stabilize.buildfiles.setup.computed.records import Split, extensions_in_classes, splits_of
from torch_stabilize.buildfiles.setup.computed.spelling import compared, imports_os, is_changed_later, is_used_up
from torch_stabilize.buildfiles.setup.computed.visible import is_visible
from torch_stabilize.buildfiles.setup.create import extension_text
from torch_stabilize.buildfiles.setup.families import all_of, partner_of, partners
from torch_stabilize.buildfiles.setup.model import Extension, SetupModel, is_stable_extension
from torch_stabilize.buildfiles.setup.package import update_package
from torch_stabilize.buildfiles.setup.placement import add_to_call
from torch_stabilize.buildfiles.setup.result import SetupResult
from torch_stabilize.buildfiles.setup.run import SetupRun
from torch_stabilize.buildfiles.setup.text import add_after, literal_list
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Severity, Span
from torch_stabilize.repository.stable_target import short_name

if TYPE_CHECKING:
    import libcst as cst


class _Row(NamedTuple):
    """New sources of a stable extension, and the test that decides on them, "" for none.

    `by_name` says that it asks whether the list has their old names, which so have to stay there.
    """

    paths: tuple[str, ...]
    test: str = ""
    by_name: bool = False


def split_computed(model: SetupModel, moving: Moving, *, in_lists: bool) -> SetupResult | None:
    """The edits of a setup.py that split the extensions with `moving` where they are made; None where that cannot be.

    `in_lists` takes names out of the lists that they are written in; else they are left out of what the call is given.
    """
    layout = moving.layout
    is_moved = any(unit.startswith(f"{layout.stable_root}/") for unit in moving.units)
    if layout.is_whole or moving.later or is_moved:
        return None
    extensions = [*model.extensions(), *extensions_in_classes(model)]
    splits = splits_of(model, moving, extensions)
    own = short_name(layout.legacy_library)
    if not splits or _share(splits):
        return None
    known = {unit for split in splits for unit in split.moving}
    if any(split.is_open for split in splits) and (in_lists or not known.issuperset(moving.units)):
        return None  # the others may be in what was not read
    path = model.file.path
    run = SetupRun(
        model, layout, moving.renames, moving.target, TextEdits(path, model.file.data), moving.created,
        stable=[e for e in extensions if is_stable_extension(model, layout, e) and e.sources is not None],
        has_home=any(short_name(one.entry.module) == own for one in splits),
    )  # fmt: skip
    done = _Splitting(run, moving, splits, Leaving(run, in_lists), own)
    if not done.carry_out():
        return None
    names = {extension.name for extension in extensions} | {split.entry.module for split in splits}
    update_package(run, extensions, done.converted)
    owned = {unit for split in splits for unit in split.moving} | {u for u in moving.units if done.is_listed(u)}
    has_stable = bool(done.counterparts)
    return SetupResult(
        run.edits.edits(), tuple(run.diagnostics), frozenset(owned), frozenset(done.fresh), frozenset(names),
        has_stable, bool(done.converted),
    )  # fmt: skip


def _share(splits: Sequence[Split]) -> bool:
    """Whether extensions of different names build the same source."""
    found: dict[str, str] = {}
    return any(found.setdefault(unit, one.entry.module) != one.entry.module for one in splits for unit in one.moving)


class _Splitting:
    """One attempt. `fresh` are new sources that no stable extension has yet, `converted` what became stable."""

    def __init__(self, run: SetupRun, moving: Moving, splits: Sequence[Split], leaving: Leaving, own: str) -> None:
        self.run, self.splits, self.leaving = run, splits, leaving
        self.renames = moving.renames
        self.counterparts = partners(run.model.snapshot, run.stable, run.layout)
        self.fresh = [new for new in moving.created if not self._has(new)]
        self.home = [one for one in splits if short_name(one.entry.module) == own] or list(splits)
        self.converted: list[Extension] = []

    def _has(self, path: str) -> bool:
        return any(extension.has(path) for extension in self.run.stable)

    def is_listed(self, unit: str) -> bool:
        """Whether a stable extension has a unit already."""
        return self._has(self.renames[unit])

    def carry_out(self) -> bool:
        """Whether all extensions could be split."""
        becomes = not self.counterparts and all(one.is_whole and not one.guard for one in self.home)
        going = [one for one in self.splits if not (becomes and one in self.home)]
        rows = {id(one): self._rows(one) for one in self.splits}
        asked = {path for found in rows.values() for row in found or () if row.by_name for path in row.paths}
        left: dict[int, list[str]] = {}
        for split in going:
            kept = [unit for unit in split.moving if self.renames[unit] in asked]
            taken = self.leaving.take_out(split, [u for u in split.moving if u in split.named and u not in kept])
            left[id(split)] = [unit for unit in split.moving if unit in split.named and unit not in taken]
        for split in self.splits:
            found = rows[id(split)]
            if found is None or not self._enter(split, found, becomes=split not in going):
                return False
            if split in going and not self._leave_out(split, left[id(split)]):
                return False
        self.leaving.carry_out()
        return True

    def _leave_out(self, split: Split, units: Sequence[str]) -> bool:
        """Whether the call could be given a copy of the list without `units`, where it has some."""
        legacy = split.extension
        if units and legacy.sources is not None and is_changed_later(self.run.model, legacy.sources, legacy.call):
            return False
        return leave_out(self.run, split, units)

    def _rows(self, split: Split) -> list[_Row] | None:
        """What the stable extension gets; None where the conditions of a source cannot be told at the call."""
        new = [path for path in self.fresh if split in self.home]
        always, tested = list(new), dict[tuple[str, bool], list[str]]()
        for unit, when in split.moving.items():
            if self.is_listed(unit):
                continue
            if when == () and not split.is_open:
                always.append(self.renames[unit])
                continue
            test = self._test(split, unit, when)
            if test is None:
                return None
            tested.setdefault(test, []).append(self.renames[unit])
        return [_Row(tuple(always)), *(_Row(tuple(paths), *test) for test, paths in tested.items())]

    def _test(self, split: Split, unit: str, when: Sequence[str] | None) -> tuple[str, bool] | None:
        """The test for a source: its conditions, or whether the list has its name, which is said."""
        run, call = self.run, split.extension.call
        written = [source for source in split.entry.sources if source.path == unit]
        if when is not None and not split.is_open and all(source.file == run.model.file.path for source in written):
            at = self._scope(written[0].written)
            if all(is_visible(run.model, one, at, call) for one in when):
                return all_of(when), False
        sources = split.extension.sources
        if unit not in split.named or sources is None or is_used_up(run.model, sources):
            return None
        text = run.model.file.text(sources)
        if split.is_plain:
            return f"{run.quoted(unit)} in {text if _is_simple(sources) else f'({text})'}", True
        if not imports_os(run.model):
            return None
        return f"{run.quoted(unit)} in [{compared(split, 'source')} for source in {text}]", True

    def _scope(self, span: Span) -> cst.CSTNode:
        """The innermost function around `span`, or the module."""
        import libcst as cst

        file = self.run.model.file
        around = [one for one in file.find(cst.FunctionDef) if file.span(one).contains(span)]
        return around[-1] if around else file.module

    def _enter(self, split: Split, rows: Sequence[_Row], *, becomes: bool) -> bool:
        """Whether the stable extension could be made, or be given more sources."""
        run, legacy = self.run, split.extension
        wanted = run.stable_name(legacy)
        existing = self.counterparts if split in self.home else self._named(wanted)
        if existing:
            return self._fill(partner_of(legacy, existing), rows)
        texts = list(self._texts(rows))
        if not texts:
            return True
        only = rows[1].test if len(rows) == 2 and not rows[0].paths else ""
        if only:
            texts = [run.quoted(path) for path in rows[1].paths]
        text = extension_text(run, legacy, literal_list(texts, spread=len(texts) > 1))
        if becomes:
            run.edits.replace(run.model.file.span(legacy.call), text, EXTENSION_CREATED)
            self.converted.append(legacy)
            message = f"every source of {legacy.name} moves: it becomes {wanted}"
        else:
            guard = " and ".join(f"({part})" if " or " in part else part for part in (split.guard, only) if part)
            if not place_next_to(run, legacy, text, guard):
                return False
            message = f"{wanted} is built next to {legacy.name} with the same arguments"
        run.report(EXTENSION_CREATED, Severity.NOTE, legacy.call, message)
        return True

    def _named(self, name: str) -> list[Extension]:
        return [one for one in self.run.stable if short_name(one.name) == name]

    def _texts(self, rows: Sequence[_Row]) -> Iterator[str]:
        """The elements of a literal list with the sources of `rows`."""
        for paths, test, _ in rows:
            names = [self.run.quoted(path) for path in paths]
            if test:
                yield f"*([{', '.join(names)}] if {test} else [])"
            else:
                yield from names

    def _fill(self, stable: Extension, rows: Sequence[_Row]) -> bool:
        """Whether sources could be added to a stable extension that is there."""
        import libcst as cst

        own = set(stable.conditions)
        lists = [e for e in stable.elements if isinstance(e.list_node, (cst.List, cst.Tuple, cst.Set))]
        always = [element for element in lists if set(element.conditions) <= own]
        for row in rows:
            alike = [e for e in lists if row.test and set(e.conditions) - own == {row.test}]
            texts = list(self._texts([row._replace(test="")] if alike else [row]))
            if not texts:
                continue
            last = (alike or always)[-1:]
            if last:
                add_after(self.run.model.file, last[0].node, texts, self.run.edits, SETUP_SOURCE_MOVED)
            elif not add_to_call(self.run, stable, texts):
                return False
        return True


def _is_simple(node: cst.CSTNode) -> bool:
    import libcst as cst

    return isinstance(node, (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.List, cst.ListComp))
