"""Algorithms and function objects of the standard library that apply an operator to tensors: stable tensors have none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Diagnostic, Span
from torch_stabilize.rules.context import Context, Site, SiteKind
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.sites import in_legacy_branch
from torch_stabilize.source.declarations import around
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.library import ITERATOR
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.source.types import CppType, parse_type

APPLIED = page(
    "TSA180",
    "The standard library applies an operator to tensors.",
    "std::accumulate and its like add what they are given, and std::plus<> and its like are operators; stable tensors have\n"
    "no operators. Pass a lambda, `[](const at::Tensor& a, const at::Tensor& b) { return a + b; }`, and run again.",
    (
        Example(
            "#include <numeric>\nat::Tensor f(std::vector<at::Tensor> l, at::Tensor x) { return std::accumulate(l.begin(), l.end(), x); }",
            "#include <numeric>\ntorch::stable::Tensor f(std::vector<torch::stable::Tensor> l, torch::stable::Tensor x) "
            "{ return std::accumulate(l.begin(), l.end(), x); }",
            "reported, and left as it is",
        ),
        Example(
            "#include <numeric>\nat::Tensor f(std::vector<at::Tensor> l, at::Tensor x) { return std::accumulate(l.begin(), l.end(), x, "
            "[](const at::Tensor& a, const at::Tensor& b) { return a + b; }); }",
            "#include <numeric>\ntorch::stable::Tensor f(std::vector<torch::stable::Tensor> l, torch::stable::Tensor x) "
            "{ return std::accumulate(l.begin(), l.end(), x, "
            "[](const torch::stable::Tensor& a, const torch::stable::Tensor& b) { return stable_aten::add(a, b); }); }",
            "with a function of its own",
        ),
        untouched(
            "#include <functional>\n#include <numeric>\n#include <vector>\nint f(std::vector<int> l) "
            "{ return std::accumulate(l.begin(), l.end(), 1, std::multiplies<>()) + std::reduce(l.begin(), l.end()); }",
            "numbers",
        ),
    ),
    Confidence.MANUAL,
)
# Algorithms, by how many arguments they have where they apply an operator of the elements.
_APPLY = {
    "accumulate": 3, "reduce": 3, "partial_sum": 3, "adjacent_difference": 3, "inclusive_scan": 3, "exclusive_scan": 4,
    "inner_product": 4, "transform_reduce": 4,
}  # fmt: skip
_SIGNS = {
    "plus": "+", "minus": "-", "multiplies": "*", "divides": "/", "modulus": "%", "negate": "-", "bit_and": "&",
    "bit_or": "|", "bit_xor": "^", "bit_not": "~", "equal_to": "==", "not_equal_to": "!=", "greater": ">", "less": "<",
    "greater_equal": ">=", "less_equal": "<=",
}  # fmt: skip
_CALLED = re.compile(rb"(?<![\w.>:])(?P<std>std\s*::\s*)?(?P<name>" + "|".join(_APPLY).encode() + rb")\s*\(")
_OBJECT = re.compile(rb"\bstd\s*::\s*(?P<name>" + "|".join(_SIGNS).encode() + rb")\s*<(?P<type>[\w\s:&]*)>")


def algorithm_findings(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    """Places of a file that moves where the standard library applies an operator to tensors."""
    document = context.document
    if document.path not in context.project.moving or b"Tensor" not in document.words:
        return
    for match in (*_CALLED.finditer(document.code), *_OBJECT.finditer(document.code)):
        name = match["name"].decode()
        site = Site(Span(*match.span("name")), f"std::{name}", SiteKind.OPERATOR)
        if _is_applied(match, name, site, context) and not in_legacy_branch(document, site.span.start):
            sign = _SIGNS.get(name) or ("*" if name in ("inner_product", "transform_reduce") else "+")
            message = f"std::{name} applies `{sign}` to tensors, and stable tensors have no operators"
            advice = (
                "hand over a lambda that does it, `[](const at::Tensor& a, const at::Tensor& b) { ... }`, and run again"
            )
            yield site, context.diagnose(site, APPLIED, message, advice)


def _is_applied(match: re.Match[bytes], name: str, site: Site, context: Context) -> bool:
    fragment = context.fragment(site)
    node = fragment.node_at(site.span)
    call = around(node, ("call_expression",)) if node is not None else None
    if name in _SIGNS:
        written = parse_type(match["type"].decode())
        if written.is_known and written.name != "void":
            return context.project.finder.written.resolved(written).is_tensor
        listed = around(call, ("argument_list",)) if call is not None else None
        if listed is None and node is not None:  # std::plus<>{}
            listed = around(node, ("argument_list",))
        call = listed.parent if listed is not None else None
        return call is not None and _has_tensors(arguments_of(call), fragment, context)
    if call is None or (not match["std"] and name in context.project.functions):
        return False
    given = arguments_of(call)
    is_default = len(given) == _APPLY[name] or (name == "reduce" and len(given) == 2)
    return is_default and _has_tensors(given if match["std"] else given[:1], fragment, context)


def _has_tensors(given: list[Node], fragment: Fragment, context: Context) -> bool:
    """Whether a tensor is among the arguments, or a way into a row of them."""
    return any(map(_is_of_tensors, (context.type_of(one, fragment) for one in given)))


def _is_of_tensors(kind: CppType) -> bool:
    held = kind.inner
    return kind._replace(pointers=0).is_tensor or (kind.name == ITERATOR and held is not None and held.is_tensor)
