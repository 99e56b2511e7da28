"""No rewrite where the tree is broken: what the grammar could not read may mean something else."""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.rewrite import Copy, Rewrite
from torch_stabilize.source.brackets import bracket_excess
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.mask import mask

BROKEN = page(
    "TSA902",
    "The code around this name cannot be parsed.",
    "A name is still replaced by another where it is alone. A call that would have to be taken apart is left as it is:\n"
    "repair the syntax, or rewrite it by hand.",
    (
        Example(
            "at::Tensor f(at::Tensor x) { return decltype(x)(x).exp(); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return decltype(x)(x).exp(); }",
            "reported, and left as it is",
        ),
        untouched(
            "int f(int x) { return decltype(x)(x) + 1; }",
            "what can be parsed",
        ),
    ),
    confidence=Confidence.MANUAL,
)


def if_certain(site: Site, outcome: Outcome | None, context: Context) -> Outcome | None:
    """The outcome, or a diagnostic where it takes apart what the grammar could not read.

    What lies in the holes of a rewrite stays as it is and may be broken.
    """
    if not isinstance(outcome, Rewrite) or (outcome.span == site.span and site.kind is not SiteKind.OPERATOR):
        return outcome  # a name for another name
    fragment = context.fragment(site)
    root = fragment.tree.root_node
    # A dispatch macro is read by its brackets: cases in a row, with nothing between them, are no expression to the grammar.
    by_brackets = site.entry is not None and site.entry.kind == "dispatch"
    is_broken = not by_brackets and (
        _is_broken(root, outcome.span, outcome.holes, fragment) or is_cut_off(root, outcome.span, fragment)
    )
    if _keeps_brackets((outcome, *outcome.also), context.document) and not is_broken:
        return outcome
    return context.diagnose(site, BROKEN, f"the code around {site.name} cannot be parsed", "rewrite it by hand")


def _keeps_brackets(rewrites: Sequence[Rewrite], document: Document) -> bool:
    """Whether what `rewrites` write together opens and closes as many brackets as what they replace."""
    code, old, new = document.code, b"", b""
    for rewrite in rewrites:
        place = rewrite.span.start
        for hole in sorted(rewrite.holes):
            old += code[place : hole.start]
            place = max(place, hole.end)
        old += code[place : rewrite.span.end]
        for part in rewrite.parts:
            if isinstance(part, bytes):
                new += part
            elif isinstance(part, Copy):
                new += code[part.span.start : part.span.end]
    before = bracket_excess(old)
    return before == bracket_excess(new) or before == bracket_excess(mask(new))


def _is_broken(node: Node, span: Span, holes: Sequence[Span], fragment: Fragment) -> bool:
    """Whether an error starts within `span` and what it is in is not kept whole by a hole."""
    if not node.has_error:
        return False
    place = node.start_byte + fragment.base
    if (node.is_error or node.is_missing) and span.start <= place < span.end:
        around = fragment.span(node.parent) if node.parent is not None else span
        return not any(hole.contains(around) for hole in holes)
    return any(
        _is_broken(child, span, holes, fragment)
        for child in node.children
        if child.has_error
        and child.start_byte + fragment.base < span.end
        and child.end_byte + fragment.base >= span.start
    )


def is_cut_off(root: Node, span: Span, fragment: Fragment) -> bool:
    """Whether what is right before could not be read, and may belong to it: `decltype(x)(x).exp()`."""
    start = span.start - fragment.base
    node = root.descendant_for_byte_range(start, start + 1) if root.has_error else None
    while node is not None and node.start_byte == start:
        before = node.prev_sibling
        if before is not None:
            return before.is_error and before.end_byte == start
        node = node.parent
    return False
