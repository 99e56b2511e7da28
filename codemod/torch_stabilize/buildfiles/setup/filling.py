"""Sources that enter the lists of a stable extension that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch_stabilize.buildfiles.codes import COMPUTED_SOURCES, SETUP_SOURCE_MOVED
from torch_stabilize.buildfiles.setup.element import Element
from torch_stabilize.buildfiles.setup.families import (
    Member,
    partner_of,
    shared_first,
)
from torch_stabilize.buildfiles.setup.mirror import is_whole_statement, mirror_name
from torch_stabilize.buildfiles.setup.model import Extension
from torch_stabilize.buildfiles.setup.placement import add_to_call
from torch_stabilize.buildfiles.setup.reader import lists_in
from torch_stabilize.buildfiles.setup.text import add_after, add_statement, literal_list
from torch_stabilize.model import Severity

if TYPE_CHECKING:
    import libcst as cst

    from torch_stabilize.buildfiles.setup.run import SetupRun


def fill(
    run: SetupRun, existing: Sequence[Extension], members: Sequence[Member], created: Sequence[str]
) -> set[cst.CSTNode]:
    """Add sources to the lists of the stable extensions that are built next to `members`, under their conditions.

    Says which of the legacy lists are gone with their statements.
    """
    import libcst as cst

    places: dict[cst.CSTNode, list[str]] = {}
    gone: set[cst.CSTNode] = set()
    for stable in dict.fromkeys(partner_of(member.extension, existing) for member in members if member.moving):
        for path in created:
            always = shared_first(_last_in_list(stable, stable.conditions), existing)
            if not always and not add_to_call(run, stable, [run.quoted(path)]):
                _report_condition(run, stable, [run.quoted(path)], stable.conditions)
            elif always and run.enters(path, always[-1].list_node, stable):
                places.setdefault(always[-1].node, []).append(run.quoted(path))
    for member in (member for member in members if member.moving):
        stable = partner_of(member.extension, existing)
        apart: dict[cst.CSTNode, list[Element]] = {}
        for element in member.moving:
            if stable.has(run.renames[element.path]):
                continue
            is_appended = isinstance(element.list_node, cst.Call) and element.glob is None
            last = _like(run, stable, element, _Shared(existing, members)) if not is_appended else None
            if last is None:
                apart.setdefault(element.list_node, []).append(element)
            elif run.is_first(element.node):
                places.setdefault(last.node, []).append(run.new_literal(element))
        gone |= {h for h, elements in apart.items() if _new_statement(run, stable, h, elements)}
    for node, texts in places.items():
        add_after(run.model.file, node, texts, run.edits, SETUP_SOURCE_MOVED)
    return gone


class _Shared(NamedTuple):
    """The stable extensions of one name, and the legacy ones."""

    existing: Sequence[Extension]
    members: Sequence[Member]

    def fits(self, stable: Element, legacy: Element) -> bool:
        """Whether the list of `stable` is built into the counterparts of those extensions that have `legacy`.

        In each of them, what is in the list is there under the conditions that `legacy` has in the legacy one.
        """
        if len(self.existing) < 2:
            return True
        wanted = {
            (id(partner_of(member.extension, self.existing)), frozenset(element.conditions))
            for member in self.members
            for element in member.moving
            if element.node is legacy.node
        }
        held = {
            (id(extension), frozenset(element.conditions))
            for extension in self.existing
            for element in extension.elements
            if element.node is stable.node
        }
        return wanted == held


def _last_in_list(stable: Extension, conditions: Sequence[str]) -> list[Element]:
    """The sources in the lists of `stable` that are there under `conditions`."""
    import libcst as cst

    return [
        e
        for e in stable.elements
        if set(e.conditions) == set(conditions) and isinstance(e.list_node, (cst.List, cst.Tuple, cst.Set))
    ]


def _like(run: SetupRun, stable: Extension, element: Element, shared: _Shared) -> Element | None:
    """The last source of `stable` in a list like that of `element`: its namesake, else one under its conditions."""
    same = [e for e in _last_in_list(stable, element.conditions) if shared.fits(e, element)]
    namesakes = [e for e in same if element.name and e.name == mirror_name(element.name)]
    own = set(run.model.file.conditions(element.node))
    alike = [e for e in same if set(run.model.file.conditions(e.node)) == own]
    found = namesakes or alike or same
    return found[-1] if found else None


def _new_statement(run: SetupRun, stable: Extension, holder: cst.CSTNode, elements: Sequence[Element]) -> bool:
    """A `+=` next to the legacy list's statement, where the stable list exists by then; a diagnostic elsewhere.

    True where it takes the place of that statement, of which nothing stays.
    """
    import libcst as cst

    file = run.model.file
    top = list(lists_in(stable.sources)) if stable.sources is not None else []
    texts = [run.new_literal(element) for element in elements]
    statement = file.statement(holder)
    call_start, start = file.span(stable.call).start, file.span(statement).start
    conditions = elements[0].conditions
    bound = run.model.bindings(top[0], stable.call) if top else []
    defined = min((file.span(statement).start for statement in bound), default=call_start)
    if set(file.conditions(holder)) != set(conditions) or not top or not defined < start < call_start:
        if not (set(conditions) <= set(stable.conditions) and add_to_call(run, stable, texts)):
            _report_condition(run, stable, texts, conditions)
        return False
    if not run.enters(f"+= {top[0]}", holder, None):
        return False  # another extension has the same list
    if isinstance(holder, cst.Call) and elements[0].glob is None:
        run.edits.replace(file.span(holder), f"{top[0]}.append({texts[0]})", SETUP_SOURCE_MOVED)
        run.replaced.add(id(holder))
        return True
    text = f"{top[0]} += {literal_list(texts, spread=False)}"
    if is_whole_statement(run, holder, elements):
        run.edits.replace(file.span(statement), text, SETUP_SOURCE_MOVED)
        run.replaced.add(id(statement))
        return True
    add_statement(file, holder, text, run.edits, SETUP_SOURCE_MOVED)
    return False


def _report_condition(run: SetupRun, stable: Extension, texts: Sequence[str], conditions: Sequence[str]) -> None:
    condition = " and ".join(f"({c})" if " or " in c else c for c in conditions) or "True"
    listed = ", ".join(texts)
    run.report(
        COMPUTED_SOURCES, Severity.ERROR, stable.call,
        f"{listed} cannot be added to {stable.name} where it is built: it needs the condition {condition}",
        f"Before the extension is made:\n  if {condition}:\n      sources += [{listed}]",
    )  # fmt: skip
