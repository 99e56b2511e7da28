"""Operators on tensors: indexing, arithmetic and comparison."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from tree_sitter import Node

from codemod.codes import Example
from codemod.model import Confidence, Span
from codemod.rules.arithmetic import binary, element_owner, inside_parentheses, unary
from codemod.rules.context import Context, Outcome, Site, SiteKind
from codemod.rules.registry import rule
from codemod.rules.rewrite import Part
from codemod.source.brackets import closing_bracket
from codemod.source.declarations import text_of
from codemod.source.document import Document, Fragment
from codemod.source.patterns import word_start
from codemod.source.scopes import TypeFinder
from codemod.source.signatures import read_signatures

# A declaration that may be a tensor's: with its type, or with a value that is no number made of CUDA's indices.
_DECLARED = (
    word_start(b"Tensor") + rb"%b\b(?:\s*const\b)?(?:\s*,[^<>;(){}]*>)?[\s&*>]*\b([A-Za-z_]\w*)\b"
    rb"|" + word_start(b"auto") + rb"\b[\s&*]*([A-Za-z_]\w*)\s*=(?![^;]*\b(?:blockIdx|threadIdx)\b)"
    rb"|" + word_start(b"auto") + rb"\b[\s&]*\[([\w\s,]*)\]\s*="
)
_TENSOR_NAME = re.compile(_DECLARED % b"")
# CUTLASS has a class template of the same name, which its code writes without its namespace.
_CUTE = re.compile(rb"\busing\s+namespace\s+cute\b|\bcute::")
_TENSOR_OF_TORCH = re.compile(_DECLARED % rb"(?:(?<=\bat::Tensor)|(?<=\btorch::Tensor)|(?<=\bc10::Tensor))")
# What may stand behind or before the name of a tensor that is an operand, or the receiver or argument of one.
_AFTER = re.compile(rb"\s*(?:\)\s*)*(?:\[|\.|->|[-+*/%^]|[=!<>]=?|&(?!&)|\|(?!\|))")
_BEFORE = re.compile(rb"(?:[-+*/%^~&|=]|[!<>]=?)\s*(?:\(\s*)?$")
_CALL_OF_TORCH = re.compile(rb"(?:torch|at)(?<![\w:]torch)(?<![\w:]at)\s*::\s*[a-z_]\w*\s*\(")
_ASSIGNMENTS = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="})
# Through these an expression goes on: `x` of `x.exp() + 1`, of `at::exp(x) + 1`, of `(c ? x : y) + 1`, of `*x + 1`.
_GOES_ON = frozenset({
    "parenthesized_expression", "field_expression", "call_expression", "argument_list", "pointer_expression",
    "conditional_expression",
})  # fmt: skip


def operator_sites(document: Document, finder: TypeFinder) -> Iterator[Site]:
    """Subscripts and binary operators with a tensor operand, found from the names of tensors."""
    yield from _elements(document, finder)
    seen: set[tuple[int, int]] = set()
    for span in (*_tensor_uses(document, finder), *_calls_of_torch(document)):
        fragment = document.fragment_at(span.start)
        for operator in _climb(fragment.node_at(span), fragment, document, finder):
            span = fragment.span(operator)
            if (span.start, span.end) not in seen:
                seen.add((span.start, span.end))
                yield Site(span, _operator_of(operator), SiteKind.OPERATOR)
    for site in _assigned_results(document, finder):
        if (site.span.start, site.span.end) not in seen:
            yield site


_ASSIGNED_RESULT = re.compile(rb"\)\s*(?P<sign>=)(?![=}\]])")


def _assigned_results(document: Document, finder: TypeFinder) -> Iterator[Site]:
    """Assignments to what a call returns: `row(x, 1) = y`, `std::move(x) = y`."""
    for match in _ASSIGNED_RESULT.finditer(document.code):
        fragment = document.fragment_at(match.start())
        token = fragment.node_at(Span(*match.span("sign")))
        node = token.parent if token is not None else None
        left = node.child_by_field_name("left") if node is not None and node.type == "assignment_expression" else None
        if node is None or left is None or inside_parentheses(left).type != "call_expression":
            continue
        if finder.type_of(left, fragment, document).is_tensor:
            yield Site(fragment.span(node), "=", SiteKind.OPERATOR)


def _calls_of_torch(document: Document) -> Iterator[Span]:
    """Where calls of functions of torch stand as if they were operands."""
    code = document.code
    for match in _CALL_OF_TORCH.finditer(code):
        end = closing_bracket(code, match.end() - 1)
        if end >= 0 and (
            _AFTER.match(code, end + 1) or _BEFORE.search(code[max(0, match.start() - 4) : match.start()])
        ):
            yield Span(match.start(), end + 1)


def _tensor_uses(document: Document, finder: TypeFinder) -> Iterator[Span]:
    """Where names that some declaration gives to a tensor stand as if they were operands.

    A name that other functions alone declare so means something else.
    """
    code = document.code
    pattern = _TENSOR_OF_TORCH if b"cute" in code and _CUTE.search(code) else _TENSOR_NAME
    declared: dict[bytes, list[int]] = {}
    for match in pattern.finditer(code):
        for name in match[match.lastindex or 0].split(b","):  # several in a structured binding
            declared.setdefault(name.strip(), []).append(match.start())
    if not declared and b"::" not in code:  # nor a function that is defined outside of its class
        return
    functions = _FunctionPlaces(document)
    owners = {name: {functions.owner(name, place) for place in places} for name, places in declared.items()}
    for name in functions.members(finder):
        owners.setdefault(name, set()).add(None)
    if not owners:
        return
    any_name = b"|".join(sorted(map(re.escape, owners)))
    names = re.compile(rb"(?:(?<![\w.>:])|(?<=\.)|(?<=->))(?:" + any_name + rb")\b")
    for match in names.finditer(code):
        start, end = match.span()
        if not (_AFTER.match(code, end) or _BEFORE.search(code[max(0, start - 4) : start])):
            continue
        here = functions.at(start)
        if here is None or here in owners[match[0]] or None in owners[match[0]]:
            yield Span(start, end)


class _FunctionPlaces:
    """Which function of a document a place lies in."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._functions = read_signatures(document)
        self._starts = [function.span.start for function in self._functions]

    def at(self, place: int) -> int | None:
        """The number of the function, its head included; None outside of functions and in the body of a macro."""
        index = bisect_right(self._starts, place) - 1
        inside = index >= 0 and place < self._functions[index].span.end
        return index if inside and self._document.macro_at(place) is None else None

    def members(self, finder: TypeFinder) -> frozenset[bytes]:
        """The names of tensors in the classes whose functions the document defines outside of them."""
        classes = {function.qualified.rpartition("::")[0].rpartition("::")[2] for function in self._functions}
        return frozenset(name.encode() for one in classes - {""} for name in finder.written.tensor_members(one))

    def owner(self, name: bytes, place: int) -> int | None:
        """The function in which the `name` declared at `place` means that; None for all of them, as with its own name."""
        index = self.at(place)
        return None if index is None or self._functions[index].name.encode() == name else index


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
    """The operators that the tensor `node`, or what is made of it, is an operand of, the inner ones first."""
    if node is not None and node.type == "field_identifier":
        node = node.parent
    if node is None or node.type not in ("identifier", "field_expression", "call_expression"):
        return
    current = node
    while current.parent is not None:
        parent = current.parent
        if parent.type == "subscript_expression" and parent.child_by_field_name("argument") == current:
            if finder.type_of(current, fragment, document).is_tensor:
                yield parent
        elif parent.type in ("binary_expression", "unary_expression"):
            if not finder.type_of(current, fragment, document).is_tensor:
                return
            if _operator_of(parent) in ("<<", ">>", "&&", "||", "!"):
                return
            yield parent
        elif parent.type == "assignment_expression":
            if _writes(parent, current, fragment, document, finder):
                yield parent
            if not finder.type_of(parent, fragment, document).is_tensor:
                return
        elif (
            parent.type == "conditional_expression" and parent.child_by_field_name("condition") == current
        ) or parent.type not in _GOES_ON:
            return
        current = parent


def _writes(node: Node, left: Node, fragment: Fragment, document: Document, finder: TypeFinder) -> bool:
    """Whether an assignment changes the elements of a tensor: `x += y`, `x[i] = y`."""
    sign = _operator_of(node)
    if node.child_by_field_name("left") != left or sign not in _ASSIGNMENTS:
        return False
    owner: Node | None = left
    if sign == "=":
        owner = element_owner(left)
    return owner is not None and finder.type_of(owner, fragment, document).is_tensor


@rule(
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
            "{ return stable_aten::add(stable_aten::neg(torch::stable::clone(x)), n); }",
            "what would stand there twice stands there once",
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
            "at::Tensor row(const at::Tensor& x);\nvoid f(at::Tensor x, const at::Tensor& y) { row(x) = y; std::move(x) = y; (x[0]) = y; }",
            "torch::stable::Tensor row(const torch::stable::Tensor& x);\n"
            "void f(torch::stable::Tensor x, const torch::stable::Tensor& y) { stable_aten::copy_(row(x), y); "
            "stable_aten::copy_(std::move(x), y); stable_aten::copy_(torch::stable::select(x, 0, 0), y); }",
            "an assignment to what a call returns copies",
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
            from codemod.rules.tensor_calls import is_tensor_method

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
    if node.type == "unary_expression":
        return unary(site, node, fragment, context)
    return binary(site, node, fragment, context)


def _subscript(node: Node, fragment: Fragment, context: Context) -> Outcome | None:
    base = node.child_by_field_name("argument")
    index = _index_of(node)
    if base is None or index is None:
        return None
    parts: tuple[Part, ...] = (b"torch::stable::select(", fragment.span(base), b", 0, ", fragment.span(index), b")")
    return context.rewrite(fragment.span(node), parts, "TSA140", includes=("torch/csrc/stable/ops.h",))
