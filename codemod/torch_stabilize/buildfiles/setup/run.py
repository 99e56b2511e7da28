"""Move sources from the legacy extension of a setup.py to the stable one, which is written on first use.

The stable side mirrors the legacy one: where `sources` takes in `cuda_sources` under a condition, `stable_sources`
takes in `stable_cuda_sources` on the next line.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch_stabilize.buildfiles.codes import COMPUTED_SOURCES, NO_SOURCE_LEFT, SETUP_SOURCE_MOVED, TWO_TARGETS
from torch_stabilize.buildfiles.moving import Moving
from torch_stabilize.buildfiles.setup.cmake_extensions import add_cmake_extensions
from torch_stabilize.buildfiles.setup.convert import can_convert, convert
from torch_stabilize.buildfiles.setup.create import extension_text
from torch_stabilize.buildfiles.setup.element import Element
from torch_stabilize.buildfiles.setup.emptied import Emptied
from torch_stabilize.buildfiles.setup.families import (
    Member,
    all_of,
    families_of,
    partners,
    unique,
)
from torch_stabilize.buildfiles.setup.filling import fill
from torch_stabilize.buildfiles.setup.mirror import create, is_whole_statement, leave_out
from torch_stabilize.buildfiles.setup.model import Extension, SetupModel, is_stable_extension
from torch_stabilize.buildfiles.setup.package import update_package
from torch_stabilize.buildfiles.setup.result import SetupResult
from torch_stabilize.buildfiles.setup.text import literal_list, remove_elements
from torch_stabilize.buildfiles.setup.whole import convert_in_place
from torch_stabilize.buildfiles.text_edits import TextEdits
from torch_stabilize.model import Diagnostic, Severity, Span
from torch_stabilize.repository.layout import Layout
from torch_stabilize.repository.stable_target import short_name

if TYPE_CHECKING:
    import libcst as cst


@dataclass
class SetupRun:
    """One run over one setup.py."""

    model: SetupModel
    layout: Layout
    renames: Mapping[str, str]
    target: str
    edits: TextEdits
    created: Sequence[str] = ()
    through_cmake: bool = False
    later: Set[str] = frozenset()  # units that other libraries give up later on
    diagnostics: list[Diagnostic] = field(default_factory=list)
    stable: Sequence[Extension] = ()  # the stable extensions that were there
    has_home: bool = False  # an extension is called after the library that moves: others move next to it
    replaced: set[int] = field(default_factory=set)  # nodes that are gone
    _handled: set[int] = field(default_factory=set)
    _spans: set[Span] = field(default_factory=set)
    _given: set[tuple[int, str]] = field(default_factory=set)

    def stable_name(self, extension: Extension) -> str:
        """What the stable counterpart of an extension is called."""
        name = short_name(extension.name)
        if not name or name == short_name(self.layout.legacy_library) or not self.has_home:
            return short_name(self.layout.stable_library)
        own = (one.stable_name for one in self.layout.libraries if one.name == name)
        return short_name(next(own, f"{name}_stable_libtorch"))

    def is_replaced(self, node: cst.CSTNode) -> bool:
        """Whether `node` is in what was replaced or taken out as a whole."""
        return any(id(outer) in self.replaced for outer in self.model.file.around(node))

    def is_first(self, node: cst.CSTNode) -> bool:
        """Whether nobody asked this about `node` before: what several extensions share is edited once."""
        is_first = id(node) not in self._handled
        self._handled.add(id(node))
        return is_first

    def is_first_at(self, span: Span) -> bool:
        """Whether nobody asked this about `span` before."""
        is_first = span not in self._spans
        self._spans.add(span)
        return is_first

    def enters(self, path: str, holder: cst.CSTNode, extension: Extension | None) -> bool:
        """Whether a new source has to be put into the list `holder`: no list of the extension was given it before."""
        lists = {id(holder)}
        if extension is not None:
            own = set(extension.conditions)
            lists |= {id(e.list_node) for e in extension.elements if set(e.conditions) <= own}
        if any((holder_id, path) in self._given for holder_id in lists):
            return False
        self._given.add((id(holder), path))
        return True

    def in_place(self, element: Element) -> str:
        """The literal for a source where it is: what a comprehension puts in front of it stays in front."""
        if element.base is None:
            return self.new_literal(element)
        return f'"{posixpath.relpath(self.renames[element.path], element.base)}"'

    def report(self, code: str, severity: Severity, node: cst.CSTNode | None, message: str, help: str = "") -> None:
        """Add a diagnostic at `node`."""
        file = self.model.file
        span = file.span(node) if node is not None else Span(0, 0)
        self.diagnostics.append(Diagnostic(code, severity, file.path, span, message, help))

    def new_literal(self, element: Element) -> str:
        """The element's expression with the new path in it, written the same way as far as possible."""
        if element.glob is not None or element.base is not None:
            return self.quoted(self.renames[element.path])
        return self.literal(element.node, element.path, self.renames[element.path])

    def quoted(self, path: str) -> str:
        """A path of the repository as a literal, relative to setup.py."""
        return f'"{self._relative(path)}"'

    def literal(self, node: cst.CSTNode, old: str, new: str) -> str:
        """`node`, an expression for the path `old`, as an expression for `new`."""
        text = self.model.file.text(node)
        old, new = self._relative(old), self._relative(new)
        tail = old
        while tail and tail not in text:
            tail = tail.partition("/")[2]
        head = old[: len(old) - len(tail)]
        if tail and new.startswith(head):
            return text.replace(tail, new[len(head) :])
        return f'"{new}"'

    def _relative(self, path: str) -> str:
        return posixpath.relpath(path, self.model.folder or ".")


def run_setup(model: SetupModel, moving: Moving, *, through_cmake: bool, widened: Sequence[str]) -> SetupResult:
    """The edits of a setup.py that was read; the arguments are those of `plan_setup`."""
    layout, renames, units, created, target, later = moving
    library = short_name(layout.stable_library)
    edits = TextEdits(model.file.path, model.file.data)
    run = SetupRun(model, layout, renames, target, edits, created, through_cmake, later)
    extensions = model.extensions()
    if layout.is_whole:
        return convert_in_place(run, extensions, units)
    stable = [e for e in extensions if is_stable_extension(model, layout, e) and e.sources is not None]
    legacy = [e for e in extensions if e not in stable]
    in_stable = {path for path in (*created, *renames.values()) if any(e.has(path) for e in stable)}
    run.stable, counterparts = stable, partners(model.snapshot, stable, layout)
    done = _move(run, legacy, counterparts, units, [new for new in created if new not in in_stable])
    if not done.replaced:
        leave_out(run, legacy, [*created, *(renames[unit] for unit in units)])
    exists = bool(counterparts or done.owned)
    _report_still_found(run, [e for e in legacy if e not in done.converted], done.owned)
    _report_computed(run, legacy, units, done.owned | in_stable, () if exists else created, exists)
    if through_cmake:
        add_cmake_extensions(run, extensions, units, widened)
    elif done.owned:
        update_package(run, extensions, done.converted)
    listed = {unit for unit in units if renames[unit] in in_stable}
    names = frozenset(extension.name for extension in extensions)
    return SetupResult(
        run.edits.edits(),
        tuple(run.diagnostics),
        frozenset(done.owned | listed),
        frozenset(done.entered),
        names,
        bool(counterparts) or any(short_name(name) == library for name in names),
        done.replaced,
    )


@dataclass
class _Moved:
    """The units that left legacy extensions, the new ones that entered, and the legacy ones that became stable.

    `replaced` says that the legacy library is one of them, in every branch.
    """

    owned: set[str] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)
    replaced: bool = False
    converted: list[Extension] = field(default_factory=list)


def _move(
    run: SetupRun,
    legacy: Sequence[Extension],
    stable: Sequence[Extension],
    units: Sequence[str],
    fresh: Sequence[str],
) -> _Moved:
    """Take `units` out of the legacy extensions and put them, and `fresh`, into the stable one."""
    done = _Moved()
    families = families_of(legacy)
    own = short_name(run.layout.legacy_library)
    home = [extension for extension in legacy if short_name(extension.name) == own]
    run.has_home = bool(home)
    for family in families:
        members = [Member(e, tuple(one for one in e.elements if one.path in units)) for e in family]
        if family[0] not in home:
            members = [_named_elsewhere(run, member, home) for member in members]
        whole = all(member.is_whole for member in members)
        if not whole:
            kept = {id(e.node) for member in members for e in member.extension.elements if _stays(run, e, units)}
            members = [m._replace(moving=tuple(e for e in m.moving if id(e.node) not in kept)) for m in members]
        if not any(member.moving for member in members):
            continue
        done.owned.update(element.path for element in unique(members))
        new = fresh if not home or family[0] in home else ()
        done.entered.update(new)
        wanted = run.stable_name(family[0])
        is_home = not home or family[0] in home
        existing = list(stable) if is_home else [e for e in run.stable if short_name(e.name) == wanted]
        others = [e for e in (*legacy, *stable) if e not in family]
        if not existing and not done.replaced and can_convert(run, members, others):
            convert(run, members, new)
            done.replaced = whole
            done.converted += [member.extension for member in members if member.moving]
        elif existing:
            gone = {id(node) for node in fill(run, existing, members, new)}
            Emptied(run, members, others).delete_statements()
            _remove(run, unique(members), gone)
            _report_empty(run, members)
        elif create(run, members, new, emptied := Emptied(run, members, others)):
            done.replaced |= short_name(family[0].name) == own
        else:
            emptied.take_out()
            moved = unique(members)
            gone = {id(e.list_node) for e in moved if is_whole_statement(run, e.list_node, _beside(e, moved))}
            _remove(run, moved, gone)
            _report_empty(run, members)
    return done


def _named_elsewhere(run: SetupRun, member: Member, home: Sequence[Extension]) -> Member:
    """A call of another library, without those units that the library that moves builds too.

    The other one keeps building such a unit, from its new place.
    """
    shared = [e for e in member.moving if any(other.has(e.path) for other in home)]
    for element in shared:
        if element.glob is None:
            run.edits.replace(run.model.file.span(element.node), run.in_place(element), SETUP_SOURCE_MOVED)
        if element.path in run.later:
            continue
        run.report(
            TWO_TARGETS, Severity.ERROR, element.node,
            f"{element.path} belongs to {home[0].name} and to {member.extension.name}, which builds the new file too",
            "Give the source one extension, or each extension a source of its own.",
        )  # fmt: skip
    return member._replace(moving=tuple(e for e in member.moving if e not in shared))


def _report_empty(run: SetupRun, members: Sequence[Member]) -> None:
    """Say that an extension has no source left, where nothing better was said about it."""
    empty = [member.extension for member in members if member.is_whole]
    if empty and not any(found.code == COMPUTED_SOURCES for found in run.diagnostics):
        where = " or ".join(f"`{all_of(one.conditions)}`" for one in empty if one.conditions)
        run.report(
            NO_SOURCE_LEFT, Severity.ERROR, empty[0].call,
            f"{empty[0].name} has no source left" + (f" where {where}" if where else ""),
            "Remove the extension and what imports it, or keep one source in it.",
        )  # fmt: skip


def _report_computed(
    run: SetupRun,
    legacy: Sequence[Extension],
    units: Sequence[str],
    known: Iterable[str],
    created: Sequence[str],
    has_stable: bool,
) -> None:
    """Units that no list names, where an extension computes its list: the lines that somebody has to add.

    `has_stable` says that the stable extension is there, or is written by this run.
    """
    missing = [unit for unit in units if unit not in known and run.renames[unit] not in known]
    computed = [e for e in legacy if e.computed or any(_stays_found(run, one) for one in e.elements)]
    if not missing or len(computed) != 1 or run.through_cmake:
        return
    names = [run.quoted(path) for path in (*created, *(run.renames[unit] for unit in missing))]
    if has_stable:
        lines = ",\n".join(names)
        advice = f"Make sure that they are no more, and add them to {short_name(run.layout.stable_library)}:\n{lines}"
    else:
        text = extension_text(run, computed[0], literal_list(names, spread=True))
        advice = f"Remove them from it, and build this extension next to it:\n{text}"
    run.report(
        COMPUTED_SOURCES, Severity.ERROR, computed[0].call,
        f"the sources of {computed[0].name or 'this extension'} are computed: {', '.join(missing)} may be among them",
        advice,
    )  # fmt: skip


def _stays(run: SetupRun, element: Element, units: Sequence[str]) -> bool:
    """Whether a glob finds a source that is none of the `units`, where units are migrated in place."""
    in_place = any(run.renames.get(unit) == unit for unit in units)
    return element.glob is not None and in_place and element.path not in units


def _report_still_found(run: SetupRun, legacy: Sequence[Extension], owned: Set[str]) -> None:
    """Globs of legacy extensions that still find what the stable extension has, as it stays where it is."""
    calls: dict[int, list[Element]] = {}
    for element in (element for extension in legacy for element in extension.elements):
        if element.path in owned and _stays_found(run, element) and not run.is_replaced(element.node):
            calls.setdefault(id(element.node), []).append(element)
    for found in calls.values():
        names = ", ".join(dict.fromkeys(element.path for element in found))
        run.report(
            COMPUTED_SOURCES, Severity.ERROR, found[0].node,
            f"this finds {names} too, which the stable extension has", "Leave it out of the legacy extension.",
        )  # fmt: skip


def _stays_found(run: SetupRun, element: Element) -> bool:
    """Whether a glob finds a unit that does not move, and so would find it for the legacy extension for ever."""
    return element.glob is not None and run.renames.get(element.path) == element.path


def _beside(element: Element, moving: Sequence[Element]) -> list[Element]:
    return [other for other in moving if other.list_node is element.list_node]


def _remove(run: SetupRun, moving: Sequence[Element], gone: Set[int]) -> None:
    """Take the elements out of their lists, but those lists that are `gone` as a whole."""
    import libcst as cst

    by_list: dict[cst.CSTNode, list[cst.CSTNode]] = {}
    for element in moving:
        by_list.setdefault(element.list_node, []).append(element.node)
    for holder, nodes in by_list.items():
        is_left = id(holder) not in gone and not run.is_replaced(holder)
        if is_left and isinstance(holder, cst.Call) and holder not in nodes:
            run.edits.replace(run.model.file.span(holder), "pass", SETUP_SOURCE_MOVED)
        elif is_left and isinstance(holder, (cst.List, cst.Tuple, cst.Set)):
            remove_elements(run.model.file, holder, nodes, run.edits, SETUP_SOURCE_MOVED)
