"""`torch::nn::functional::pad` with its options."""

from __future__ import annotations

import re

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Span
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site
from torch_stabilize.rules.registry import case, rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.surface.entry import Entry


@rule(
    "TSA119",
    "torch::nn::functional::pad becomes torch::stable::pad.",
    examples=(
        Example(
            "at::Tensor f(at::Tensor x) { return torch::nn::functional::pad(x, torch::nn::functional::PadFuncOptions({0, 1})); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::pad(x, {0, 1}); }",
        ),
        untouched(
            "namespace own { int pad(int, int); }\nint f(int n) { return own::pad(n, 2); }",
            "of another namespace",
        ),
    ),
)
def functional_pad(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`pad(x, PadFuncOptions({...}).mode(...))`: constant padding, with a value or without."""
    node = context.call(site)
    given = arguments_of(node) if node is not None else []
    made = (
        re.fullmatch(r"(?s)(?:\w+::)*PadFuncOptions\s*\(\s*(\{.*\})\s*\)", text_of(given[1]))
        if len(given) == 2
        else None
    )
    if node is None or made is None:
        return context.diagnose(site, entry.rule, "only constant padding by zero has a stable form", entry.note)
    fragment = context.fragment(site)
    start = fragment.span(given[1]).start + len(text_of(given[1])[: made.start(1)].encode())
    sizes = Span(start, start + len(made.group(1).encode()))
    parts: tuple[Part, ...] = (b"torch::stable::pad(", fragment.span(given[0]), b", ", sizes, b")")
    return context.rewrite(fragment.span(node), parts, entry.rule, entry=entry)


@case("TSA119", "PadFuncOptions")
def _options(site: Site, context: Context, entry: Entry) -> Outcome:
    return Allowed("taken apart by the pad around it")
