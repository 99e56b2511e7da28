"""Headers that legacy and migrated units both include: they must compile in both worlds.

Header-only types are the same types in both, so their names may stay. Checks go through a macro that is TORCH_CHECK in
the legacy build and STD_TORCH_CHECK in the stable one. What exists in one world only is a diagnostic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from codemod.model import Diagnostic, Severity, Span
from codemod.rules.context import Allowed, Outcome, Site, SiteKind
from codemod.rules.registry import page
from codemod.rules.rewrite import Rewrite
from codemod.source.conditions import conditions_at
from codemod.source.document import Document

ONE_WORLD = page(
    "TSA005",
    "A header that legacy units still include uses what only one world has.",
    "Migrate the other units that include it in the same run, split the header, or switch on TORCH_TARGET_VERSION by hand.",
)
DUAL_CHECK = page(
    "TSA006",
    "Checks in a header of both worlds go through a macro that switches on TORCH_TARGET_VERSION.",
)
_CHECKS = frozenset({"TORCH_CHECK", "TORCH_INTERNAL_ASSERT", "AT_ASSERT", "AT_ERROR"})
DEFAULT_CHECK = "TORCH_UTILS_CHECK"


def find_dual_check(documents: Iterable[Document]) -> tuple[str, str] | None:
    """A macro of the repository that is a check in both worlds: its name and the path of its header."""
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
    return all(re.match(rb'<(?:torch/|ATen/|c10/|[a-z_]+$)', name) for name in names)


def dual_judge(document: Document, check: str) -> Callable[[Site, Outcome], Outcome]:
    """How outcomes change in a header of both worlds; `check` is the name of the two-sided check macro."""

    def judge(site: Site, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Rewrite):
            return outcome
        entry = site.entry
        if site.kind is SiteKind.MACRO and site.name in _CHECKS:
            return _check(site, outcome, check)
        if entry is not None and entry.stable.startswith("torch::headeronly::") and site.kind is SiteKind.NAME:
            if entry.kind == "type" and not site.name.startswith("torch::"):
                return Allowed("the same type in both worlds")
            return outcome
        if entry is not None and entry.stable.startswith("std::"):
            return outcome
        if site.kind is SiteKind.MACRO and outcome.rule == "TSA303":
            return outcome
        return Diagnostic(
            ONE_WORLD, Severity.ERROR, document.path, site.span,
            f"{site.name} stands in a header that legacy units include too",
            "migrate those units in the same run, or switch on TORCH_TARGET_VERSION by hand",
        )

    return judge


def _check(site: Site, outcome: Rewrite, check: str) -> Outcome:
    parts = tuple(p.replace(b"STD_TORCH_CHECK", check.encode()) if isinstance(p, bytes) else p for p in outcome.parts)
    return Rewrite(outcome.span, parts, DUAL_CHECK, outcome.confidence, (), ("dual_check",), outcome.also)


__all__ = ["DEFAULT_CHECK", "Span", "dual_judge", "find_dual_check"]
