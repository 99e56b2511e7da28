"""Rewrite one document: every site passes through its rule, and every site is accounted for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from torch_stabilize.model import Diagnostic, Edit, Severity, SiteCount, Span
from torch_stabilize.rules.algorithms import algorithm_findings
from torch_stabilize.rules.array_views import (
    PRINTED_TENSOR,
    view_sites,
)
from torch_stabilize.rules.certainty import if_certain
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site, SiteKind
from torch_stabilize.rules.dispatch import project_macro
from torch_stabilize.rules.evaluation import keep_evaluation
from torch_stabilize.rules.generic import by_table
from torch_stabilize.rules.handlers import clause_findings
from torch_stabilize.rules.moved import moved_findings
from torch_stabilize.rules.namesakes import apart_from_namesakes
from torch_stabilize.rules.operators import operator_sites
from torch_stabilize.rules.options_uses import options_findings
from torch_stabilize.rules.own_macros import is_redefined
from torch_stabilize.rules.references import keep_reference
from torch_stabilize.rules.registry import site_handler
from torch_stabilize.rules.rewrite import Copy, Nested, Rewrite, Rewrites, flatten, nest
from torch_stabilize.rules.shared import LEGACY_ONLY, ONE_WORLD
from torch_stabilize.rules.sites import find_sites, in_legacy_branch
from torch_stabilize.rules.small_vectors import copy_sites
from torch_stabilize.rules.spliced import spliced_findings
from torch_stabilize.rules.streams import stream_findings
from torch_stabilize.rules.stringised import keep_text
from torch_stabilize.rules.undefined import UNDEFINED, undefined_findings
from torch_stabilize.rules.unknown import unknown_operators, unknown_receiver
from torch_stabilize.rules.unqualified import unqualified_sites
from torch_stabilize.source.document import Document
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.source.spans import Spans


class Rewritten(NamedTuple):
    """What the rules make of one document. Includes are not among the edits: they are written once, at the end."""

    edits: tuple[Edit, ...]
    diagnostics: tuple[Diagnostic, ...]
    includes: frozenset[str]
    helpers: frozenset[str]
    sites: SiteCount
    include_sites: tuple[Site, ...]
    switches: bool = False  # whether it has code for both builds


def rewrite_document(
    context: Context,
    skip: Sequence[Span] = (),
    only: Span | None = None,
    judge: Callable[[Site, Outcome], Outcome] | None = None,
    around: Callable[[Sequence[Rewrite], Sequence[Span]], Sequence[Rewrite]] | None = None,
) -> Rewritten:
    """Rewrite a document, or the part of it in `only`. Sites within `skip` belong to somebody else (the bindings).

    `judge` may replace an outcome, and `around` add rewrites that hold others, for what was rewritten and for the places
    of diagnostics: how a shared header switches between them.
    """
    document = context.document
    project = context.project
    sites = [*find_sites(document, context.surface, project.dispatch.keys(), project.macros, project.method_aliases)]
    sites += operator_sites(document, context.project.finder)
    sites += view_sites(document, context.project.finder)
    sites += copy_sites(document, context.project.finder)
    found = {site.span for site in sites}
    hidden = unqualified_sites(document, project)
    sites += [site for site in hidden if site.span not in found]
    skipped = Spans(skip)
    wanted = [site for site in sites if _wanted(site, skipped, only)]
    outcomes: list[tuple[Site, Outcome | None]] = [(site, _sure(site, context)) for site in wanted]
    others = (
        unknown_operators(context),
        clause_findings(context),
        undefined_findings(context),
        moved_findings(context),
        spliced_findings(context),
        stream_findings(context),
        algorithm_findings(context),
        options_findings(context),
    )
    outcomes += [one for found_there in others for one in found_there if _wanted(one[0], skipped, only)]
    if judge is not None:
        outcomes = [(site, judge(site, outcome) if outcome is not None else None) for site, outcome in outcomes]
    outcomes = [(site, apart_from_namesakes(o, context) if isinstance(o, Rewrite) else o) for site, o in outcomes]
    made = [(site, o) for site, o in outcomes if isinstance(o, Rewrite)]
    everything = [r for _, rewrite in made for r in (rewrite, *rewrite.also)]
    if around is not None:
        told = [site.span for site, outcome in outcomes if isinstance(outcome, Diagnostic)]
        everything = [*around(everything, told), *everything]  # of two with one span the first wins
    nested = nest(everything)
    kept = _without_orphans(nested.kept, [rewrite for _, rewrite in made])
    bodies = [macro.body for macro in document.macros]
    edits = flatten(kept, document.data, bodies, everything)
    copied = nest(r for r in everything if r.rule not in (ONE_WORLD, LEGACY_ONLY)).kept if around is not None else kept
    diagnostics, count = _account(outcomes, kept, copied)
    written = (*kept, *_copied(kept, Rewrites(everything)))
    return Rewritten(
        edits,
        diagnostics,
        frozenset(name for rewrite in written for name in rewrite.includes if name),
        frozenset(name for rewrite in written for name in rewrite.helpers) | _helpers_of_includes(wanted, document),
        count,
        tuple(site for site in wanted if site.kind is SiteKind.INCLUDE),
        any(rewrite.rule == ONE_WORLD for rewrite in kept),
    )


def _copied(kept: Iterable[Rewrite], everything: Rewrites) -> Iterator[Rewrite]:
    """The rewrites within what others of `kept` write a second time, or at another place."""
    for around in kept:
        for part in around.parts:
            if isinstance(part, Copy):
                yield from (r for r in everything.within(part.span) if r is not around)


def _helpers_of_includes(sites: Iterable[Site], document: Document) -> frozenset[str]:
    """Helpers for overloads that came in with a header under a name of CUDA's own: atomicAdd of Half."""
    entries = [site.entry for site in sites if site.kind is SiteKind.INCLUDE and site.entry is not None]
    return frozenset(e.helper for e in entries if e.helper and re.search(rb"\batomicAdd\s*\(", document.code))


def _sure(site: Site, context: Context) -> Outcome | None:
    """What the site's rule makes of it, where the code can be read and evaluates what it did."""
    outcome = if_certain(site, _outcome(site, context), context)
    outcome = keep_reference(site, keep_evaluation(site, outcome, context), context)
    return keep_text(site, outcome, context)


def _wanted(site: Site, skip: Spans, only: Span | None) -> bool:
    if only is not None and not only.contains(site.span):
        return False
    return not skip.hold(site.span)


def _outcome(site: Site, context: Context) -> Outcome | None:
    if in_legacy_branch(context.document, site.span.start):
        return Allowed("compiled in the legacy build alone")
    if site.kind is SiteKind.NAME and _is_own_space(site, context):
        return None
    if site.kind is SiteKind.INCLUDE:
        return Allowed("includes are written once, at the end")
    is_check = site.entry is not None and site.entry.rule.startswith("TSA20")
    if is_check and site.kind in (SiteKind.MACRO, SiteKind.CONDITION) and is_redefined(site, context):
        return None
    if (handler := site_handler(site)) is not None:
        return handler(site, context)
    if site.kind is SiteKind.MACRO and site.name in context.project.dispatch:
        return project_macro(site, context)
    if site.kind is SiteKind.BARE and not _is_ours(site, context):
        return None
    outcome = by_table(site, context)
    if outcome is None and site.kind is SiteKind.METHOD:
        return unknown_receiver(site, context)
    return outcome


_BRING_FUNCTIONS = frozenset({"ScalarType", "DeviceType", "Device", ""})


def _is_own_space(site: Site, context: Context) -> bool:
    """Whether the name is of a namespace of the project's own that has the name of torch's."""
    node = context.node(site)
    written = context.text(site.span)
    return node is not None and not written.startswith(b"::") and context.project.finder.own_spaces.has(site.name, node)


def _is_ours(site: Site, context: Context) -> bool:
    """A bare `toString(x)` is torch's only where its argument is a torch type, and no function of the project has the name."""
    if site.name in context.project.functions:
        return False
    if site.name == "device_of":
        return True
    node = context.call(site)
    given = arguments_of(node) if node is not None else []
    return any(context.type_of(argument, context.fragment(site)).name in _BRING_FUNCTIONS for argument in given)


def _without_orphans(kept: Sequence[Rewrite], made: Sequence[Rewrite]) -> tuple[Rewrite, ...]:
    """Leave out companions whose main rewrite lost to an outer one."""
    survivors = set(map(id, kept))
    orphans = {id(also) for rewrite in made if id(rewrite) not in survivors for also in rewrite.also}
    return tuple(rewrite for rewrite in kept if id(rewrite) not in orphans)


def _account(
    outcomes: Sequence[tuple[Site, Outcome | None]], kept: Sequence[Rewrite], copied: Sequence[Rewrite]
) -> tuple[tuple[Diagnostic, ...], SiteCount]:
    """What became of the sites. `copied` are the rewrites within code that a shared header has twice."""
    diagnostics: list[Diagnostic] = []
    found = rewritten = diagnosed = allowed = 0
    survivors = set(map(id, kept))
    in_legacy = [rewrite for rewrite in kept if rewrite.rule == LEGACY_ONLY]
    around = Nested(copied)
    moved = Spans(part.span for rewrite in copied for part in rewrite.parts if isinstance(part, Copy))
    for site, outcome in outcomes:
        if outcome is None:
            continue
        found += 1
        legacy_only = any(rewrite.claims(site.span) for rewrite in in_legacy)
        if isinstance(outcome, Allowed) or legacy_only:
            allowed += 1
        elif id(outcome) in survivors or _is_taken(site, outcome, around, moved):
            rewritten += 1
        else:
            diagnosed += 1
            diagnostics.append(outcome if isinstance(outcome, Diagnostic) else _collision(site, outcome))
    return tuple(diagnostics), SiteCount(found, rewritten, diagnosed, allowed)


def _is_taken(site: Site, outcome: Outcome, kept: Nested, moved: Spans) -> bool:
    """Whether a rewrite around the site is what becomes of it. What is to be done by hand is so in a copy too."""
    around = tuple(kept.around(site.span))
    if site.name in (PRINTED_TENSOR, UNDEFINED) or not any(rewrite.claims(site.span) for rewrite in around):
        return False
    is_kept = moved.hold(site.span) or any(rewrite.keeps(site.span) for rewrite in around)
    return not isinstance(outcome, Diagnostic) or not is_kept


def _collision(site: Site, outcome: Rewrite) -> Diagnostic:
    return Diagnostic(
        outcome.rule, Severity.ERROR, "", site.span, f"{site.name} is where two rewrites meet", "rewrite it by hand"
    )
