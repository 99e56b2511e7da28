"""Operators on tensors: indexing, arithmetic and comparison."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from codemod.codes import Example
from codemod.model import Confidence, Span
from codemod.rules.context import Context, Outcome, Site, SiteKind
from codemod.rules.registry import rule
from codemod.rules.rewrite import Part
from codemod.source.declarations import text_of
from codemod.source.document import Document, Fragment
from codemod.source.scopes import TypeFinder

_TENSOR_NAME = re.compile(rb"\bTensor\b(?:\s*const\b)?[\s&*>]*\b([A-Za-z_]\w*)\b|\bauto\b[\s&*]*([A-Za-z_]\w*)\s*=")
_AFTER = re.compile(rb"\s*(?:\)\s*)?(?:\[|[-+*/%](?!=)|==|!=|<=?|>=?|&(?!&)|\|(?!\|))")
_BEFORE = re.compile(rb"(?:[-+*/%]|==|!=|<|>)\s*(?:\(\s*)?$")
_ATEN = {
    "*": "mul",
    "/": "div",
    "==": "eq",
    "!=": "ne",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
    "&": "bitwise_and",
    "|": "bitwise_or",
    "%": "remainder",
}


def operator_sites(document: Document, finder: TypeFinder) -> Iterator[Site]:
    """Subscripts and binary operators with a tensor operand, found from the names of tensors."""
    yield from _elements(document, finder)
    names = {name for match in _TENSOR_NAME.finditer(document.code) for name in match.groups() if name}
    if not names:
        return
    wanted = re.compile(rb"(?<![\w.>:])(?:" + b"|".join(sorted(map(re.escape, names))) + rb")\b")
    seen: set[tuple[int, int]] = set()
    for match in wanted.finditer(document.code):
        before = document.code[max(0, match.start() - 4) : match.start()]
        if not (_AFTER.match(document.code, match.end()) or _BEFORE.search(before)):
            continue
        fragment = document.fragment_at(match.start())
        node = fragment.tree.root_node.descendant_for_byte_range(
            match.start() - fragment.base, match.end() - fragment.base
        )
        for operator in _climb(node, fragment, document, finder):
            span = fragment.span(operator)
            if (span.start, span.end) not in seen:
                seen.add((span.start, span.end))
                yield Site(span, _operator_of(operator), SiteKind.OPERATOR)


_ELEMENT = re.compile(rb"\.\s*(?P<name>sizes|strides)\s*\(\s*\)\s*(?=\[)")


def _elements(document: Document, finder: TypeFinder) -> Iterator[Site]:
    """`x.sizes()[i]` and `x.strides()[i]` of a tensor."""
    for match in _ELEMENT.finditer(document.code):
        fragment = document.fragment_at(match.start())
        node = fragment.node_at(Span(*match.span("name")))
        while node is not None and node.type != "subscript_expression":
            node = node.parent
        base = node.child_by_field_name("argument") if node is not None else None
        callee = base.child_by_field_name("function") if base is not None and base.type == "call_expression" else None
        receiver = callee.child_by_field_name("argument") if callee is not None else None
        if node is not None and receiver is not None and finder.type_of(receiver, fragment, document).is_tensor:
            yield Site(fragment.span(node), f"{match.group('name').decode()}[]", SiteKind.OPERATOR)


@rule(
    "TSA122",
    "One size or stride is asked for by its index.",
    examples=(
        Example(
            "int64_t f(const at::Tensor& x) { return x.sizes()[0]; }",
            "int64_t f(const torch::stable::Tensor& x) { return x.size(0); }",
        ),
    ),
)
def element(site: Site, context: Context) -> Outcome | None:
    """`x.sizes()[i]` -> `x.size(i)`: the stable sizes() builds a view of all of them each time."""
    fragment = context.fragment(site)
    node = fragment.node_at(site.span)
    base = node.child_by_field_name("argument") if node is not None else None
    callee = base.child_by_field_name("function") if base is not None else None
    index = _index_of(node) if node is not None else None
    if callee is None or index is None:
        return None
    receiver = callee.child_by_field_name("argument")
    assert receiver is not None
    name = b"size" if site.name.startswith("sizes") else b"stride"
    parts: tuple[Part, ...] = (fragment.span(receiver), b"." + name + b"(", fragment.span(index), b")")
    return context.rewrite(site.span, parts, "TSA122")


def _index_of(node: Node) -> Node | None:
    inside = node.child_by_field_name("indices") or node.child_by_field_name("index")
    if inside is not None and inside.type == "subscript_argument_list":
        return inside.named_children[0] if inside.named_child_count == 1 else None
    return inside


def _operator_of(node: Node) -> str:
    if node.type == "subscript_expression":
        return "[]"
    return text_of(node.child_by_field_name("operator") or node)


def _climb(node: Node | None, fragment: Fragment, document: Document, finder: TypeFinder) -> Iterator[Node]:
    if node is None or node.type != "identifier" or not finder.type_of(node, fragment, document).is_tensor:
        return
    current = node
    while current.parent is not None:
        parent = current.parent
        if parent.type == "subscript_expression" and parent.child_by_field_name("argument") == current:
            yield parent
        elif parent.type == "binary_expression":
            if _operator_of(parent) in ("<<", ">>", "&&", "||"):
                return
            yield parent
        elif parent.type != "parenthesized_expression":
            return
        current = parent


@rule(
    "TSA140",
    "Operators on tensors become calls.",
    text="Indexing is select. Products, quotients and comparisons go through the dispatcher. Sums and differences become\n"
    "torch::stable::subtract, which refuses integral tensors: a golden output should cover them.",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            "at::Tensor f(at::Tensor x, int i) { return x[i]; }",
            "torch::stable::Tensor f(torch::stable::Tensor x, int i) { return torch::stable::select(x, 0, i); }",
        ),
        Example("float f(float* x, int i) { return x[i]; }", "float f(float* x, int i) { return x[i]; }", "a pointer"),
    ),
)
def operators(site: Site, context: Context) -> Outcome | None:
    """`t[i]`, `a - b`, `a * b`, `a == b`, and the methods add and sub with an alpha."""
    if site.kind is not SiteKind.OPERATOR:
        from codemod.rules.generic import by_form, no_stable_form

        entry = site.entry
        assert entry is not None
        if site.kind is SiteKind.METHOD:
            from codemod.rules.methods import is_tensor_method

            if not is_tensor_method(site, context):
                return None
        return no_stable_form(site, context, entry) if entry.form == "special" else by_form(site, context, entry)
    if site.name in ("sizes[]", "strides[]"):
        return element(site, context)
    fragment = context.fragment(site)
    node = fragment.node_at(site.span)
    if node is None:
        return None
    if node.type == "subscript_expression":
        return _subscript(node, fragment, context)
    return _binary(site, node, fragment, context)


def _subscript(node: Node, fragment: Fragment, context: Context) -> Outcome | None:
    base = node.child_by_field_name("argument")
    index = _index_of(node)
    if base is None or index is None:
        return None
    parts: tuple[Part, ...] = (b"torch::stable::select(", fragment.span(base), b", 0, ", fragment.span(index), b")")
    return context.rewrite(fragment.span(node), parts, "TSA140", includes=("torch/csrc/stable/ops.h",))


def _binary(site: Site, node: Node, fragment: Fragment, context: Context) -> Outcome | None:
    left, right = (node.child_by_field_name(side) for side in ("left", "right"))
    if left is None or right is None:
        return None
    both = context.type_of(left, fragment).is_tensor and context.type_of(right, fragment).is_tensor
    if not both:
        return context.diagnose(
            site,
            "TSA140",
            f"`{site.name}` of a tensor and a number has no stable form",
            "make the number a tensor with torch::stable::full({}, value, dtype, std::nullopt, device)",
        )
    spans = (fragment.span(left), fragment.span(right))
    if site.name in ("+", "-"):
        alpha = b", -1" if site.name == "+" else b""
        parts: tuple[Part, ...] = (b"torch::stable::subtract(", spans[0], b", ", spans[1], alpha + b")")
        return context.rewrite(
            fragment.span(node), parts, "TSA140", includes=("torch/csrc/stable/ops.h",), confidence=Confidence.REVIEW
        )
    name = _ATEN.get(site.name)
    if name is None:
        return context.diagnose(
            site, "TSA140", f"`{site.name}` of two tensors has no stable form", "call the op by its name"
        )
    overload = {
        "mul": "mul.Tensor",
        "div": "div.Tensor",
        "bitwise_and": "bitwise_and.Tensor",
        "bitwise_or": "bitwise_or.Tensor",
        "remainder": "remainder.Tensor",
    }.get(name, f"{name}.Tensor")
    parts = (f"stable_aten::{name}(".encode(), spans[0], b", ", spans[1], b")")
    return context.rewrite(
        fragment.span(node), parts, "TSA140", helpers=(f"aten:{overload}",), confidence=Confidence.REVIEW
    )
