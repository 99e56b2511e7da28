"""Views of arrays, `x.sizes()` and IntArrayRef, where they are compared or printed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.printed_through import printed_arguments
from torch_stabilize.rules.printing import printer_of
from torch_stabilize.rules.registry import on, page, rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.rules.tensor_calls import MethodCall, receiver_type
from torch_stabilize.source.arguments import argument_spans
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.types import CppType, parse_type
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.versions import headers_have

COMPARED, PRINTED, PRINTED_TENSOR = "compared view", "printed value", "printed tensor"
PRINTED_IN_TEMPLATE, COMPARED_IN_TEMPLATE = "value printed in a template", "view compared in a template"

# What a file says that has views of arrays, or values that were printed: it is not parsed for the others.
_VIEWS = (b"sizes", b"strides", b"ArrayRef")
_PRINTABLE = (*_VIEWS, b"Tensor", b"Device", b"Layout", b"device()", b"layout()")
_COMPARISON = re.compile(rb"[=!]=(?<![<>!=]..)(?!=)")
_SHIFTED = re.compile(rb"<<(?<!<<<)(?![<=])")
_CHECK = re.compile(
    rb"\b(?P<stable>STD_)?(?P<name>TORCH_(?:CHECK(?:_VALUE|_INDEX|_TYPE|_NOT_IMPLEMENTED)?|INTERNAL_ASSERT|WARN(?:_ONCE)?)"
    rb"|AT_(?:ERROR|ASSERTM|WARN))\s*\("
)
_VIEW_TYPES = frozenset({"IntArrayRef", "ArrayRef"})
_PLAIN = frozenset({"number_literal", "char_literal", "string_literal", "null", "true", "false", "nullptr"})
_POSTFIX = frozenset(
    {"identifier", "call_expression", "field_expression", "subscript_expression", "qualified_identifier"}
)

EQUALS = page(
    "TSA123",
    "Array views are compared with equals().",
    "The header-only view has no operator== before the headers of torch 2.13. With newer headers the comparison stays.",
    (
        Example(
            "bool f(const at::Tensor& x, const at::Tensor& y) { return x.sizes() == y.sizes(); }",
            "bool f(const torch::stable::Tensor& x, const torch::stable::Tensor& y) { return "
            "x.sizes().equals(y.sizes()); }",
        ),
        Example(
            "void f(const at::Tensor& x, const at::Tensor& y) { TORCH_CHECK(x.sizes() == y.sizes()); }",
            "void f(const torch::stable::Tensor& x, const torch::stable::Tensor& y) { STD_TORCH_CHECK("
            'x.sizes().equals(y.sizes()), "Expected x.sizes() == y.sizes() to be true, but got false."); }',
            "in a check without a message",
        ),
        Example(
            "#include <vector>\nbool f(const at::Tensor& x, std::vector<int64_t> v) { return v != x.strides(); }",
            "#include <vector>\nbool f(const torch::stable::Tensor& x, std::vector<int64_t> v) { return "
            "!x.strides().equals(v); }",
        ),
        Example(
            "bool f(const at::Tensor& x) { return x.sizes() == torch::IntArrayRef({2, 3}); }",
            "bool f(const torch::stable::Tensor& x) { return "
            "x.sizes().equals(torch::headeronly::IntHeaderOnlyArrayRef({2, 3})); }",
        ),
        Example(
            "template <class T> bool same(const T& a, const T& b) { return a == b; }\n"
            "bool f(const at::Tensor& x, int n) { return same(x.sizes(), x.sizes()) && same(n, 1); }",
            "template <class T> bool same(const T& a, const T& b) { return a == b; }\n"
            "bool f(const torch::stable::Tensor& x, int n) { return same(x.sizes(), x.sizes()) && same(n, 1); }",
            "in a template that is called with numbers too: reported",
        ),
        Example(
            "#include <vector>\nbool f(std::vector<int64_t> v, std::vector<int64_t> w) { return v == w; }",
            "#include <vector>\nbool f(std::vector<int64_t> v, std::vector<int64_t> w) { return v == w; }",
            "vectors compare as ever",
        ),
    ),
)
TEXT = page(
    "TSA124",
    "Sizes, devices and layouts are made text where they are printed.",
    "The stable types have no operator<<; a small helper writes what the legacy operator wrote.",
    (
        Example(
            "#include <sstream>\nvoid f(const at::Tensor& x, std::ostream& out) { out << x.sizes() << 1; }",
            "#include <sstream>\nvoid f(const torch::stable::Tensor& x, std::ostream& out) { out << "
            "sizes_to_string(x.sizes()) << 1; }",
        ),
        Example(
            'void f(const at::Tensor& x) { STD_TORCH_CHECK(x.dim() == 2, "sizes ", x.sizes(), x.dim()); }',
            'void f(const torch::stable::Tensor& x) { STD_TORCH_CHECK(x.dim() == 2, "sizes ", '
            "sizes_to_string(x.sizes()), x.dim()); }",
            "a check that somebody has migrated already",
        ),
        Example(
            'void f(const at::Tensor& x) { TORCH_CHECK(x.dim() == 2, "values ", x); }',
            'void f(const torch::stable::Tensor& x) { STD_TORCH_CHECK(x.dim() == 2, "values ", x); }',
            "the values of a tensor: reported, and left as they are",
        ),
        Example(
            "template <typename T> void show(std::ostream& out, const T& value) { out << value; }\n"
            "void f(const at::Tensor& x, std::ostream& out) { show(out, x.device()); show(out, x.dim()); }",
            "template <typename T> void show(std::ostream& out, const T& value) { out << value; }\n"
            "void f(const torch::stable::Tensor& x, std::ostream& out) { show(out, x.device()); show(out, x.dim()); }",
            "in a template that is called with one: reported",
        ),
        untouched(
            "#include <ostream>\n"
            "#include <vector>\n"
            "void f(std::ostream& out, const std::vector<int>& v) { out << v.size() << v[0]; }",
            "numbers",
        ),
    ),
)


@rule(
    "TSA139",
    "The text of a device comes from a helper.",
    examples=(
        Example(
            "std::string f(const at::Tensor& x) { auto d = x.device(); return d.str() + x.device().str(); }",
            "std::string f(const torch::stable::Tensor& x) { auto d = x.device(); "
            "return device_to_string(d) + device_to_string(x.device()); }",
        ),
        Example(
            "#include <sstream>\nstd::string f(std::ostringstream& s) { return s.str(); }",
            "#include <sstream>\nstd::string f(std::ostringstream& s) { return s.str(); }",
            "of a stream",
        ),
    ),
)
def text_of_device(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.device().str()`."""
    kind = receiver_type(site, context)
    if kind is None or kind.name != "Device" or kind.pointers:
        return None
    call = MethodCall(site, context)
    if not call.is_complete:
        return context.diagnose(site, "TSA139", "cannot follow the call of str", "print the device with a helper")
    parts: tuple[Part, ...] = (b"device_to_string(", *call.receiver_parts(), b")")
    return context.rewrite(call.span, parts, "TSA139", helpers=("device_to_string",))


def view_sites(document: Document, finder: TypeFinder) -> Iterator[Site]:
    """Comparisons of array views, and values behind `<<` that the stable types do not print."""
    code = document.code
    if any(word in code for word in _VIEWS):
        for match in _COMPARISON.finditer(code):
            fragment, node = _binary_at(document, match)
            sides = _sides(node) if node is not None else []
            if node is not None and any(_is_view(side, fragment, document, finder) for side in sides):
                yield Site(fragment.span(node), COMPARED, SiteKind.OPERATOR)
            elif any(is_view(kind) for side in sides for kind in _kinds_given(side, fragment, document, finder)):
                yield Site(fragment.span(sides[0]), COMPARED_IN_TEMPLATE, SiteKind.OPERATOR)
    if not any(word in code for word in _PRINTABLE):
        return
    yield from _printed_by_checks(document, finder)
    for fragment, node, alone in printed_arguments(document, finder):
        kind = finder.type_of(node, fragment, document)
        if kind.is_tensor or printer_of(kind) is not None:
            name = PRINTED_TENSOR if kind.is_tensor else PRINTED if alone else PRINTED_IN_TEMPLATE
            yield Site(fragment.span(node), name, SiteKind.OPERATOR)
    for match in _SHIFTED.finditer(code):
        fragment, node = _binary_at(document, match)
        right = node.child_by_field_name("right") if node is not None else None
        if right is None or right.type in _PLAIN:
            continue
        kind = finder.type_of(right, fragment, document)
        if kind.is_tensor:
            yield Site(Span(*match.span()), PRINTED_TENSOR, SiteKind.OPERATOR)
        elif printer_of(kind) is not None:
            yield Site(fragment.span(right), PRINTED, SiteKind.OPERATOR)
        elif any(printer_of(one) is not None for one in _kinds_in_template(right, document, finder)):
            yield Site(fragment.span(right), PRINTED_IN_TEMPLATE, SiteKind.OPERATOR)


def _kinds_in_template(node: Node, document: Document, finder: TypeFinder) -> frozenset[CppType]:
    """The types of a parameter of a function template, as its calls have them."""
    declared = finder.declaration_of(text_of(node), node) if node.type == "identifier" else None
    if declared is None:
        return frozenset()
    return finder.instances.kinds_of(parse_type(declared.type_text), node, document)


def _kinds_given(node: Node, fragment: Fragment, document: Document, finder: TypeFinder) -> frozenset[CppType]:
    """The types of a parameter of a function template or a macro, as its calls have them."""
    while node.type == "parenthesized_expression" and node.named_child_count == 1:
        node = node.named_children[0]
    macro, name = fragment.macro, text_of(node)
    if node.type != "identifier" or macro is None or name not in (macro.params or ()):
        return _kinds_in_template(node, document, finder)
    place, found = (macro.params or ()).index(name), set()
    for user, used, spans, _ in finder.macros.of(macro.name):
        given = used.node_at(spans[place]) if place < len(spans) else None
        if given is not None:
            found.add(finder.type_of(given, used, user))
    return frozenset(found)


def _printed_by_checks(document: Document, finder: TypeFinder) -> Iterator[Site]:
    """What checks are handed to print and cannot; those that are stable already too, in a file migrated in part."""
    for match in _CHECK.finditer(document.code):
        message = 0 if match["name"].endswith((b"ERROR", b"WARN", b"WARN_ONCE")) else 1
        for span in argument_spans(document, match.end() - 1)[message:]:
            fragment = document.fragment_at(span.start)
            node = fragment.node_at(span)
            if node is None or fragment.span(node) != span:
                continue
            kind = finder.type_of(node, fragment, document)
            if kind.is_tensor:
                yield Site(Span(match.end() - 1, match.end()), PRINTED_TENSOR, SiteKind.OPERATOR)
            elif printer_of(kind) is not None and match["stable"]:
                yield Site(span, PRINTED, SiteKind.OPERATOR)
            elif any(printer_of(one) is not None for one in _kinds_in_template(node, document, finder)):
                yield Site(span, PRINTED_IN_TEMPLATE, SiteKind.OPERATOR)


@on(SiteKind.OPERATOR, PRINTED_TENSOR)
def printed_tensor(site: Site, context: Context) -> Outcome:
    """`std::cout << x`."""
    return context.diagnose(
        site, TEXT, "a stable tensor does not print its values", "print its sizes and dtype, or print it in Python"
    )


@on(SiteKind.OPERATOR, PRINTED_IN_TEMPLATE)
def printed_in_template(site: Site, context: Context) -> Outcome:
    """`std::cout << value` where calls of the template give `value` a type without text."""
    return context.diagnose(
        site,
        TEXT,
        f"`{context.document.text(site.span).decode('utf-8', 'replace')}` is printed, and calls give it a type that the "
        "stable API does not print",
        "make text of it where the template is called",
    )


@on(SiteKind.OPERATOR, PRINTED)
def printed(site: Site, context: Context) -> Outcome | None:
    """`std::cout << x.sizes()`, which a helper prints."""
    fragment = context.fragment(site)
    printer = printer_of(context.type_of(fragment.node_at(site.span), fragment))
    if printer is None:
        return None
    parts: tuple[Part, ...] = (printer.function.encode() + b"(", site.span, b")")
    return context.rewrite(site.span, parts, TEXT, helpers=(printer.helper,))


@on(SiteKind.OPERATOR, COMPARED)
def array_views(site: Site, context: Context) -> Outcome | None:
    """`x.sizes() == y.sizes()`: array views of the stable API cannot be compared."""
    fragment = context.fragment(site)
    node = fragment.node_at(site.span)
    if node is None or headers_have("array_view_equality", context.project.headers or context.project.target):
        return None
    sides = _sides(node)
    if len(sides) != 2:
        return None
    return context.rewrite(site.span, equality(sides[0], sides[1], _sign(node), fragment, context), EQUALS)


@on(SiteKind.OPERATOR, COMPARED_IN_TEMPLATE)
def compared_in_template(site: Site, context: Context) -> Outcome | None:
    """`a == b` where calls of a template or a macro give `a` or `b` the type of a view, and other types."""
    if headers_have("array_view_equality", context.project.headers or context.project.target):
        return None
    shown = context.document.text(site.span).decode("utf-8", "replace")
    message = f"`{shown}` is compared, and calls make one side a view, which the stable API compares with equals()"
    return context.diagnose(site, EQUALS, message, "compare what the view is of: `x.sizes().vec()`, or use equals()")


def is_view(kind: CppType) -> bool:
    """Whether a value of this type is a view of an array."""
    return kind.name in _VIEW_TYPES and not kind.pointers


def equality(left: Node, right: Node, sign: str, fragment: Fragment, context: Context) -> tuple[Part, ...]:
    """`left.equals(right)`, or the other way round where only `right` is a view."""
    if not is_view(context.type_of(left, fragment)):
        left, right = right, left
    receiver: tuple[Part, ...] = (fragment.span(left),)
    if left.type not in _POSTFIX:
        receiver = (b"(", *receiver, b")")
    return (b"!" if sign == "!=" else b"", *receiver, b".equals(", fragment.span(right), b")")


def _binary_at(document: Document, match: re.Match[bytes]) -> tuple[Fragment, Node | None]:
    """The binary expression whose operator was matched."""
    fragment = document.fragment_at(match.start())
    token = fragment.node_at(Span(*match.span()))
    node = token.parent if token is not None else None
    return fragment, node if node is not None and node.type == "binary_expression" else None


def _sides(node: Node) -> list[Node]:
    return [side for name in ("left", "right") if (side := node.child_by_field_name(name)) is not None]


def _sign(node: Node) -> str:
    operator = node.child_by_field_name("operator")
    return text_of(operator) if operator is not None else ""


def _is_view(node: Node, fragment: Fragment, document: Document, finder: TypeFinder) -> bool:
    return node.type not in _PLAIN and is_view(finder.type_of(node, fragment, document))
