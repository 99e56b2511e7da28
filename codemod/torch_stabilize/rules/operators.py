"""Operators on tensors: indexing, arithmetic and comparison."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.arithmetic import binary, element_owner, holding_call, unary
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.registry import on, page
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment, per_document
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.signatures import read_signatures

# The first byte of what may be an operator: an index, arithmetic, a comparison, an assignment.
_OPERATOR = re.compile(rb"[-+*/%^~&|=!<>\[]")
_NODES = frozenset({"subscript_expression", "binary_expression", "unary_expression", "assignment_expression"})
_NOT_OF_TENSORS = frozenset({"<<", ">>", "&&", "||", "!"})
_ASSIGNMENTS = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="})


def operator_sites(document: Document, finder: TypeFinder) -> Iterator[Site]:
    """Subscripts, operators and assignments with an operand that is a tensor."""
    for node, fragment in operator_nodes(document):
        if any(finder.type_of(one, fragment, document).is_tensor for one in operands(node)):
            yield Site(fragment.span(node), operator_of(node), SiteKind.OPERATOR)


@per_document
def operator_nodes(document: Document) -> tuple[tuple[Node, Fragment], ...]:
    """The operators outside of device functions, where no tensor is, that a tensor can be an operand of."""
    return tuple(_operator_nodes(document))


def _operator_nodes(document: Document) -> Iterator[tuple[Node, Fragment]]:
    on_device = [(f.span.start, f.span.end) for f in read_signatures(document) if f.is_device]
    seen: set[Span] = set()
    place = 0
    while match := _OPERATOR.search(document.code, place):
        place = match.end()
        index = bisect_right(on_device, (match.start(), len(document.code))) - 1
        if index >= 0 and match.start() < on_device[index][1] and document.macro_at(match.start()) is None:
            place = max(place, on_device[index][1])
            continue
        fragment = document.fragment_at(match.start())
        token = fragment.node_at(Span(*match.span()))
        node = token.parent if token is not None and not token.is_named else None
        if node is not None and node.type == "subscript_argument_list":
            node = node.parent
        if node is None or node.type not in _NODES:
            continue
        span = fragment.span(node)
        if span not in seen:
            seen.add(span)
            yield node, fragment


def operands(node: Node) -> Iterator[Node]:
    """What decides, by being a tensor, whether the operator `node` is one on tensors."""
    sign = operator_of(node)
    if node.type in ("subscript_expression", "unary_expression"):
        names: tuple[str, ...] = () if sign in _NOT_OF_TENSORS else ("argument",)
    elif node.type == "binary_expression":
        names = () if sign in _NOT_OF_TENSORS else ("left", "right")
    else:
        left = node.child_by_field_name("left")
        if left is None or sign not in _ASSIGNMENTS or _declares_pointer(left):
            return
        if sign != "=" or holding_call(left) is not None:
            yield left
        if sign == "=" and (owner := element_owner(left)) is not None:
            yield owner
        return
    yield from (found for name in names if (found := node.child_by_field_name(name)) is not None)


def _declares_pointer(left: Node) -> bool:
    """Whether the grammar took `T (*f)(A) = g;`, the declaration of a pointer to a function, for an assignment."""
    inner = left.child_by_field_name("function") if left.type == "call_expression" else None
    given = inner.child_by_field_name("arguments") if inner is not None and inner.type == "call_expression" else None
    return given is not None and [c.type for c in given.named_children] == ["pointer_expression"]


def _index_of(node: Node) -> Node | None:
    inside = node.child_by_field_name("indices") or node.child_by_field_name("index")
    if inside is not None and inside.type == "subscript_argument_list":
        return inside.named_children[0] if inside.named_child_count == 1 else None
    return inside


def operator_of(node: Node) -> str:
    """The sign of an operator, "[]" for an index."""
    if node.type == "subscript_expression":
        return "[]"
    return text_of(node.child_by_field_name("operator") or node)


page(
    "TSA140",
    "Operators on tensors become calls.",
    text="Indexing is select, and an assignment to an element is copy_ or fill_. Arithmetic and comparison, with tensors or\n"
    "numbers, go through the dispatcher with the results they had. Sums and differences of tensors that are sure to be\n"
    "floating become torch::stable::subtract, which refuses integers.",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            "at::Tensor f(at::Tensor x, int n) { return n - x.clone(); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, int n) "
            "{ return stable_aten::rsub(torch::stable::clone(x), n); }",
            "what would be written twice is written once",
        ),
        Example(
            "at::Tensor f(const at::Tensor& x) { return 1 / x.exp(); }",
            "torch::stable::Tensor f(const torch::stable::Tensor& x) "
            "{ return [&](const torch::stable::Tensor& right) { return stable_aten::div_(torch::stable::fill_("
            "torch::stable::empty_like(right), 1), right); }(stable_aten::exp(x)); }",
            "a number over what a call gives keeps its dtype; the call is made once",
        ),
        Example(
            "at::Tensor f(at::Tensor x, int i) { return x[i]; }",
            "torch::stable::Tensor f(torch::stable::Tensor x, int i) { return torch::stable::select(x, 0, i); }",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y) { return -x + y.exp() * 2; }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y) { return "
            "stable_aten::add(stable_aten::neg(x), stable_aten::mul(stable_aten::exp(y), 2)); }",
        ),
        Example(
            "void f(at::Tensor x, at::Tensor y) { x += y; x[0] = 1; }",
            "void f(torch::stable::Tensor x, torch::stable::Tensor y) { stable_aten::add_(x, y); "
            "torch::stable::fill_(torch::stable::select(x, 0, 0), 1); }",
        ),
        Example(
            "void f(at::Tensor x) { x += x[0]; x[0] += x[1]; x -= x.exp(); }",
            "void f(torch::stable::Tensor x) { x += torch::stable::select(x, 0, 0); "
            "stable_aten::add_(torch::stable::select(x, 0, 0), torch::stable::select(x, 0, 1)); "
            "stable_aten::sub_(x, stable_aten::exp(x)); }",
            "a part of what is written is an operand: reported",
        ),
        Example(
            "at::Tensor row(const at::Tensor& x);\nvoid f(at::Tensor x, const at::Tensor& y) { row(x) = y; std::move(x) = y; (x[0]) = y; }",
            "torch::stable::Tensor row(const torch::stable::Tensor& x);\n"
            "void f(torch::stable::Tensor x, const torch::stable::Tensor& y) { stable_aten::copy_(row(x), y); "
            "stable_aten::copy_(std::move(x), y); stable_aten::copy_(torch::stable::select(x, 0, 0), y); }",
            "an assignment to what a call returns copies",
        ),
        Example(
            "std::pair<at::Tensor, int> halves(at::Tensor x);\nstd::pair<at::Tensor, int>& kept();\n"
            "struct Rows { at::Tensor at(int i); at::Tensor& ref(int i); };\n"
            "void f(at::Tensor x, const at::Tensor& y, Rows r) { halves(x).first = y; std::get<0>(halves(x)) = y; r.at(0) = y; "
            "auto p = halves(x); p.first = y; std::get<0>(p) = y; kept().first = y; r.ref(0) = y; }",
            "std::pair<torch::stable::Tensor, int> halves(torch::stable::Tensor x);\n"
            "std::pair<torch::stable::Tensor, int>& kept();\n"
            "struct Rows { torch::stable::Tensor at(int i); torch::stable::Tensor& ref(int i); };\n"
            "void f(torch::stable::Tensor x, const torch::stable::Tensor& y, Rows r) { stable_aten::copy_(halves(x).first, y); "
            "stable_aten::copy_(std::get<0>(halves(x)), y); stable_aten::copy_(r.at(0), y); "
            "auto p = halves(x); p.first = y; std::get<0>(p) = y; kept().first = y; r.ref(0) = y; }",
            "also to a part of it, and to what the project's own methods return",
        ),
        Example(
            "#include <vector>\nat::Tensor& slot();\n"
            "void f(std::vector<at::Tensor> v, const at::Tensor& y) { slot() = y; v.at(0) = y; (v[0]) = y; v.back() = y; }",
            "#include <vector>\ntorch::stable::Tensor& slot();\n"
            "void f(std::vector<torch::stable::Tensor> v, const torch::stable::Tensor& y) "
            "{ slot() = y; v.at(0) = y; (v[0]) = y; v.back() = y; }",
            "an assignment to a variable does not",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y) { y = -(x = y); return (x += 1) * 2; }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y) { y = stable_aten::neg(x = y); "
            "return stable_aten::mul(stable_aten::add_(x, 1), 2); }",
            "also where the value of an assignment is used",
        ),
        Example(
            "int64_t f(const at::Tensor& x) { return x.sizes()[0] + x.strides()[1]; }",
            "int64_t f(const torch::stable::Tensor& x) { return x.sizes()[0] + x.strides()[1]; }",
            "numbers of a view; stride(1) would throw where there is no such dimension",
        ),
        Example("float f(float* x, int i) { return x[i]; }", "float f(float* x, int i) { return x[i]; }", "a pointer"),
        untouched(
            "namespace own { struct Tensor { Tensor operator+(int) const; Tensor operator[](int) const; }; }\n"
            "own::Tensor f(own::Tensor x) { auto y = x + 1; return y[0]; }",
            "a class of that name in another namespace",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor i) { return x[i]; }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor i) { return x[i]; }",
            "a tensor as an index is reported, and left as it is",
        ),
    ),
)


@on(SiteKind.OPERATOR)
def operators(site: Site, context: Context) -> Outcome | None:
    """`t[i]`, `a - b`, `a * b`, `a == b`."""
    fragment = context.fragment(site)
    node = fragment.node_at(site.span)
    if node is None:
        return None
    if node.type == "subscript_expression":
        return _subscript(site, node, fragment, context)
    if node.type == "unary_expression":
        return unary(site, node, fragment, context)
    return binary(site, node, fragment, context)


def _subscript(site: Site, node: Node, fragment: Fragment, context: Context) -> Outcome | None:
    base = node.child_by_field_name("argument")
    index = _index_of(node)
    if base is None or index is None:
        return None
    if context.type_of(index, fragment).is_tensor:
        message = "the index is a tensor, which has to be one whole number"
        return context.diagnose(site, "TSA140", message, "read the number with item<int64_t>() first")
    parts: tuple[Part, ...] = (b"torch::stable::select(", fragment.span(base), b", 0, ", fragment.span(index), b")")
    return context.rewrite(fragment.span(node), parts, "TSA140", includes=("torch/csrc/stable/ops.h",))
