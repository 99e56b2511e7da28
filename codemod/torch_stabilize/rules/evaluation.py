"""Rewrites evaluate what they replace: each part once, and a receiver before the arguments behind it.

A method call evaluates its receiver first, an assignment its right side; the arguments of a function come in no order.
Where that matters, or where a rewrite would evaluate something twice, the part gets a name: the rewrite becomes the body
of a lambda that is called with it.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.effect_kinds import Effects
from torch_stabilize.rules.effects import NONE, effectful_calls, effects_of, is_repeatable
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.rewrite import Copy, Part, Rewrite
from torch_stabilize.source.document import Fragment

NAMED = page(
    "TSA133",
    "An expression that must be evaluated first, or only once, gets a variable.",
    "A method evaluates its receiver before its arguments; a function evaluates its arguments in any order. Where the order\n"
    "matters, or where the stable form needs a value twice, a lambda is called with it.",
    (
        Example(
            "at::Tensor f(at::Tensor x) { return x.relu_().matmul(x.exp()); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return [&](auto&& self) { return "
            "torch::stable::matmul(self, stable_aten::exp(x)); }(stable_aten::relu_(x)); }",
            "exp() reads what relu_() wrote",
        ),
        Example(
            "at::Tensor g(int n);\nsize_t f(int n) { return g(n++).nbytes(); }",
            "torch::stable::Tensor g(int n);\nsize_t f(int n) { return [&](auto&& self) { return "
            "self.numel() * self.element_size(); }(g(n++)); }",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { return x.relu_().matmul(x); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::matmul(stable_aten::relu_(x), x); }",
            "in either order",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y) { return x.exp().matmul(y.exp()); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y) { return "
            "torch::stable::matmul(stable_aten::exp(x), stable_aten::exp(y)); }",
            "which of two tensors comes first makes no difference",
        ),
        untouched(
            "struct Row { Row& step(); Row& add(const Row&); };\nvoid f(Row& r) { r.step().add(r.step()); }",
            "calls of another class keep their order",
        ),
        Example(
            "at::Tensor g(int n);\nvoid f(at::Tensor x, int n) { x[n++] = g(n); x[n] = g(n); }",
            "torch::stable::Tensor g(int n);\n"
            "void f(torch::stable::Tensor x, int n) { [&](auto&& self) { return "
            "stable_aten::copy_(torch::stable::select(x, 0, n++), self); }(g(n)); "
            "stable_aten::copy_(torch::stable::select(x, 0, n), g(n)); }",
            "an assignment evaluates its right side first",
        ),
    ),
)
LOST = page(
    "TSA134",
    "The rewrite would drop or repeat a side effect.",
    "Give the expression a variable before the statement, and use that.",
    confidence=Confidence.MANUAL,
)


def keep_evaluation(site: Site, outcome: Outcome | None, context: Context) -> Outcome | None:
    """The outcome, made to evaluate the same expressions as often and in the same order, or a diagnostic."""
    if not isinstance(outcome, Rewrite) or (len(outcome.span) <= len(site.span) and site.kind is not SiteKind.OPERATOR):
        return outcome
    if site.entry is not None and site.entry.kind == "dispatch":
        return outcome  # of the cases that a body is written into, one is evaluated
    fragment = context.fragment(site)
    node = fragment.node_at(outcome.span)
    if node is None or fragment.span(node) != outcome.span or not node.type.endswith("expression"):
        return outcome
    inside = [part for part in map(_span_of, outcome.parts) if part is not None and outcome.span.contains(part)]
    if not inside:
        return outcome
    for call in effectful_calls(node, fragment, context):
        place = fragment.span(call)
        if place != outcome.span and not any(span.contains(place) for span in inside) and not place.contains(site.span):
            return _lost(site, context)
    first = _evaluated_first(node, fragment, outcome, context)
    again = _evaluated_again(inside, fragment, context)
    wanted = again if again is not None else first
    if wanted is None:
        return outcome
    if again is not None and first is not None and not again.contains(first):
        return _lost(site, context)
    if not _in_function(node):
        return _lost(site, context)
    return _with_name(outcome, wanted, context)


def _lost(site: Site, context: Context) -> Outcome:
    message = f"the stable form of {site.name} would evaluate its operands in another order, or not once each"
    return context.diagnose(site, LOST, message, "give the operands variables of their own")


def _span_of(part: Part) -> Span | None:
    if isinstance(part, Copy):
        return part.span
    return part if isinstance(part, Span) else None


def _evaluated_first(node: Node, fragment: Fragment, rewrite: Rewrite, context: Context) -> Span | None:
    """The operand that has to be evaluated before the others, if that makes a difference."""
    first, others = _operands(node)
    if first is None or not others:
        return None
    span = fragment.span(first)
    used = [part for part in map(_span_of, rewrite.parts) if part is not None]
    if not any(part.contains(span) or span.contains(part) for part in used):
        return None
    rest: Effects = NONE
    for other in others:
        rest = rest | effects_of(other, fragment, context)
    if not effects_of(first, fragment, context).meets(rest):
        return None
    holding = [part for part in used if part == span]
    return span if holding else next((part for part in used if span.contains(part)), None)


def _operands(node: Node) -> tuple[Node | None, list[Node]]:
    """The operand that C++ evaluates first, and the others."""
    if node.type == "call_expression":
        callee = node.child_by_field_name("function")
        if callee is None or callee.type != "field_expression":
            return None, []
        arguments = node.child_by_field_name("arguments")
        return callee.child_by_field_name("argument"), [*arguments.named_children] if arguments is not None else []
    if node.type == "assignment_expression":
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        return right, [left] if left is not None else []
    if node.type == "subscript_expression":
        index = node.child_by_field_name("indices") or node.child_by_field_name("index")
        return node.child_by_field_name("argument"), [index] if index is not None else []
    return None, []


def _evaluated_again(inside: list[Span], fragment: Fragment, context: Context) -> Span | None:
    """What is in more than one part and must be evaluated once: the widest such stretch."""
    repeated = sorted({a for i, a in enumerate(inside) for b in inside[i + 1 :] if a == b}, key=len, reverse=True)
    for span in repeated:
        node = fragment.node_at(span)
        if node is None or not is_repeatable(node, fragment, context):
            return span
    return None


def _in_function(node: Node) -> bool:
    walk: Node | None = node
    while walk is not None:
        if walk.type in ("function_definition", "lambda_expression", "compound_statement"):
            return True
        if walk.type in ("optional_parameter_declaration", "field_declaration", "field_initializer"):
            return False
        walk = walk.parent
    return False


def _with_name(rewrite: Rewrite, span: Span, context: Context) -> Rewrite:
    """The rewrite as the body of a lambda that is called with what is at `span`."""
    text = context.text(rewrite.span)
    name = next(name for name in (b"self", b"operand", b"operand_") if not re.search(rb"\b%s\b" % name, text))
    body = [name if _span_of(part) == span else part for part in rewrite.parts]
    parts: tuple[Part, ...] = (b"[&](auto&& " + name + b") { return ", *body, b"; }(", span, b")")
    return rewrite._replace(parts=parts)
