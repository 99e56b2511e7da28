"""Headers that legacy and migrated units both include: they must compile in both builds.

Header-only types are the same types in both, so their names may stay. Checks go through a macro that is TORCH_CHECK in
the legacy build and STD_TORCH_CHECK in the stable one. What exists in one build only is a diagnostic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Outcome, Site, SiteKind
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.rewrite import Copy, Part, Rewrite
from torch_stabilize.source.conditions import conditions_at
from torch_stabilize.source.document import Document
from torch_stabilize.source.spans import merged, whole_lines
from torch_stabilize.surface.entry import Entry

ONE_WORLD = page(
    "TSA005",
    "A header that legacy units still include switches on TORCH_TARGET_VERSION where only one build has a name.",
    "The statement is written twice, stable and as it was. Migrating the other units that include the header in the same run\n"
    "spares that.",
)
DUAL_CHECK = page(
    "TSA006",
    "Checks in a shared header go through a macro that switches on TORCH_TARGET_VERSION.",
)
LEGACY_ONLY = page(
    "TSA171",
    "A declaration of a shared header that cannot migrate, and that nothing migrated uses, stays legacy-only.",
    "It is under `#ifndef TORCH_TARGET_VERSION`: the legacy build has it as before, the stable one does not need it.",
)
_CHECKS = frozenset({"TORCH_CHECK", "TORCH_INTERNAL_ASSERT", "AT_ASSERT", "AT_ERROR"})
_SWITCHABLE = frozenset({
    "declaration", "expression_statement", "return_statement", "if_statement", "for_statement", "while_statement",
    "function_definition", "field_declaration", "using_declaration", "alias_declaration", "type_definition",
    "switch_statement", "case_statement",
})  # fmt: skip
DEFAULT_CHECK = "TORCH_UTILS_CHECK"


def find_dual_check(documents: Iterable[Document]) -> tuple[str, str] | None:
    """A macro of the repository that is a check in both builds: its name and the path of its header."""
    for document in documents:
        if b"TORCH_TARGET_VERSION" not in document.code or not _is_light(document):
            continue
        bodies: dict[str, set[bytes]] = {}
        for macro in document.macros:
            if conditions_at(document, macro.span.start):
                body = document.code[macro.body.start : macro.body.end].strip()
                bodies.setdefault(macro.name, set()).add(re.split(rb"\W", body)[0])
        for name, firsts in bodies.items():
            if {b"STD_TORCH_CHECK", b"TORCH_CHECK"} <= firsts:
                return name, document.path
    return None


def _is_light(document: Document) -> bool:
    """Whether a header includes torch and the standard library alone: a check must not bring CUTLASS along."""
    names = re.findall(rb'^[ \t]*#[ \t]*include[ \t]*([<"][^>"\n]+)', document.uncommented, re.MULTILINE)
    return all(re.match(rb"<(?:torch/|ATen/|c10/|[a-z_]+$)", name) for name in names)


def dual_judge(document: Document, check: str) -> Callable[[Site, Outcome], Outcome]:
    """How outcomes change in a shared header; `check` is the name of the two-sided check macro."""

    def judge(site: Site, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Rewrite) or site.kind is SiteKind.CONDITION:
            return outcome  # STD_TORCH_CHECK is defined in both builds
        entry = site.entry
        if site.kind is SiteKind.MACRO and site.name in _CHECKS:
            return _check(site, outcome, check)
        if entry is not None and entry.stable.startswith("torch::headeronly::") and site.kind is SiteKind.NAME:
            if entry.kind != "type":
                return outcome
            if _of_c10(entry) not in entry.legacy:  # another type than the legacy one
                return outcome._replace(one_world=True)
            if is_same_type(site.name, entry):  # it only needs its header
                return Rewrite(outcome.span, (outcome.span,), outcome.rule, includes=outcome.includes)
            return outcome
        if entry is not None and entry.stable.startswith("std::"):
            return outcome
        return outcome._replace(one_world=True)

    return judge


def _of_c10(entry: Entry) -> str:
    return "c10::" + entry.stable.removeprefix("torch::headeronly::")


def is_same_type(name: str, entry: Entry) -> bool:
    """Whether `name`, of c10, is a type that the header-only headers define under that very name."""
    is_type = entry.kind == "type" and entry.stable.startswith("torch::headeronly::")
    return is_type and name == _of_c10(entry) and name in entry.legacy


def _check(site: Site, outcome: Rewrite, check: str) -> Outcome:
    parts = tuple(p.replace(b"STD_TORCH_CHECK", check.encode()) if isinstance(p, bytes) else p for p in outcome.parts)
    return Rewrite(outcome.span, parts, DUAL_CHECK, outcome.confidence, (), ("dual_check",), outcome.also)


def switched(
    document: Document, is_idle: Callable[[Span], bool], rewrites: Sequence[Rewrite], told: Sequence[Span]
) -> tuple[Rewrite, ...]:
    """Rewrites with code for both builds, for the statements that hold a rewrite for one of them.

    The stable text is under `#ifdef TORCH_TARGET_VERSION`, the text as it was in the `#else` branch. What holds one
    of the places in `told`, which cannot migrate, and is idle, is left to the legacy build.
    """
    idle = merged([region for span in told if is_idle(region := _region(document, span))])
    regions: list[Span] = []
    for rewrite in rewrites:
        if rewrite.one_world:
            regions.append(_region(document, rewrite.span))
    found = []
    for region in idle:
        text = document.text(region)
        end = b"" if text.endswith(b"\n") else b"\n"
        found.append(Rewrite(region, (b"#ifndef TORCH_TARGET_VERSION\n", text, end + b"#endif\n"), LEGACY_ONLY))
    for region in merged(regions):
        if any(one.start < region.end and region.start < one.end for one in idle):
            continue
        inside = [rewrite for rewrite in rewrites if region.contains(rewrite.span)]
        text = document.text(region)
        end = b"" if text.endswith(b"\n") else b"\n"  # the last line of a file may have none
        parts: tuple[Part, ...] = (b"#ifdef TORCH_TARGET_VERSION\n", Copy(region), end + b"#else\n")
        if any(rewrite.span == region and not rewrite.parts for rewrite in inside):
            parts = (b"#ifndef TORCH_TARGET_VERSION\n",)
        found.append(
            Rewrite(
                region,
                (*parts, text, end + b"#endif\n"),
                ONE_WORLD,
                Confidence.REVIEW,
                tuple(name for rewrite in inside for name in rewrite.includes),
                tuple(name for rewrite in inside for name in rewrite.helpers),
            )
        )
    return tuple(found)


def _region(document: Document, span: Span) -> Span:
    """The whole lines of the statement, declaration, function head or macro that `span` lies in."""
    fragment = document.fragment_at(span.start)
    if fragment.macro is not None:
        return whole_lines(document.data, fragment.macro.span)
    node = fragment.node_at(span)
    found = span
    while node is not None:
        if node.type in _SWITCHABLE:
            found = fragment.span(node)
            break
        node = node.parent
    if node is not None and node.parent is not None and node.parent.type == "template_declaration":
        found = fragment.span(node.parent)
    return whole_lines(document.data, found)


__all__ = ["DEFAULT_CHECK", "dual_judge", "find_dual_check", "switched"]
