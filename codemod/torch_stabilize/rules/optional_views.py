"""`at::OptionalIntArrayRef` that is made of numbers: std::optional of a view would point at what is gone."""

from __future__ import annotations

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Diagnostic
from torch_stabilize.rules.called import given_at, place_of_parameter
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.generic import by_form
from torch_stabilize.rules.last_values import assignments
from torch_stabilize.rules.registry import rule
from torch_stabilize.rules.rewrite import Rewrite
from torch_stabilize.source.declarations import around, text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.types import INTEGERS
from torch_stabilize.surface.entry import Entry

VIEW = b"torch::headeronly::IntHeaderOnlyArrayRef"


@rule(
    "TSA181",
    "An optional view of an array is made of a view, not of numbers.",
    text="std::optional<torch::headeronly::IntHeaderOnlyArrayRef> takes numbers for one that it makes inside, of memory that\n"
    "is gone at once. A view of them is handed to it where it is used in the same expression; a variable needs an array\n"
    "that lives as long as it does.",
    examples=(
        Example(
            "at::Tensor f(const at::Tensor& x, int64_t n) "
            "{ return at::mean(x.mean(at::OptionalIntArrayRef({0, 1})), at::OptionalIntArrayRef(n)); }",
            "torch::stable::Tensor f(const torch::stable::Tensor& x, int64_t n) { return stable_aten::mean(stable_aten::mean("
            "x, std::optional<torch::headeronly::IntHeaderOnlyArrayRef>(torch::headeronly::IntHeaderOnlyArrayRef({0, 1}))), "
            "std::optional<torch::headeronly::IntHeaderOnlyArrayRef>(torch::headeronly::IntHeaderOnlyArrayRef(n))); }",
        ),
        Example(
            "at::Tensor f(const at::Tensor& x) { at::OptionalIntArrayRef d({0}); return x.mean(d); }",
            "torch::stable::Tensor f(const torch::stable::Tensor& x) "
            "{ at::OptionalIntArrayRef d({0}); return stable_aten::mean(x, d); }",
            "a variable: reported, and left as it is",
        ),
        Example(
            "void f(std::vector<int64_t> v, at::IntArrayRef w) "
            "{ at::OptionalIntArrayRef d(v); at::OptionalIntArrayRef e = w; at::OptionalIntArrayRef g = c10::nullopt; }",
            "void f(std::vector<int64_t> v, torch::headeronly::IntHeaderOnlyArrayRef w) "
            "{ std::optional<torch::headeronly::IntHeaderOnlyArrayRef> d(v); "
            "std::optional<torch::headeronly::IntHeaderOnlyArrayRef> e = w; "
            "std::optional<torch::headeronly::IntHeaderOnlyArrayRef> g = std::nullopt; }",
            "of what lives on",
        ),
        untouched(
            "#include <optional>\nstruct OptionalIntArrayRef { OptionalIntArrayRef(int); };\n"
            "OptionalIntArrayRef f() { return OptionalIntArrayRef(0); }",
            "a class of the project",
        ),
    ),
)
def optional_view(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`at::OptionalIntArrayRef`, and what one is made of."""
    named = by_form(site, context, entry)
    node = context.node(site)
    if not isinstance(named, Rewrite) or node is None:
        return named
    fragment = context.fragment(site)
    while node.parent is not None and fragment.span(node.parent) == site.span:
        node = node.parent
    holder = node.parent
    while holder is not None and holder.type == "qualified_identifier":
        node, holder = holder, holder.parent
    if holder is None:
        return named
    if holder.type in ("call_expression", "compound_literal_expression"):
        given = holder.child_by_field_name("arguments") or holder.child_by_field_name("value")
        numbers = _numbers(given, fragment, context)
        if numbers is None:
            return named
        if holder.parent is None or holder.parent.type != "argument_list":
            return _kept(site, context)
        span = fragment.span(numbers)
        brackets = (b"(", b")") if numbers.type == "initializer_list" and numbers == given else (b"", b"")
        also = context.rewrite(span, (brackets[0], VIEW, b"(", span, b")", brackets[1]), "TSA181")
        return named._replace(also=(*named.also, also))
    return _kept(site, context) if _declares_of_numbers(holder, fragment, context) else named


def _declares_of_numbers(declaration: Node, fragment: Fragment, context: Context) -> bool:
    """Whether a variable or parameter is declared with numbers, assigned some, or handed some by a call."""
    value = declaration.child_by_field_name("default_value")
    if value is not None and _numbers(value, fragment, context) is not None:
        return True
    if declaration.type in ("parameter_declaration", "optional_parameter_declaration"):
        place = place_of_parameter(declaration.child_by_field_name("type") or declaration)
        given = given_at(place, context.document) if place is not None else ()
        return any(_numbers(one, there, context) is not None for one, there in given)
    for one in declaration.children_by_field_name("declarator"):
        name = one.child_by_field_name("declarator") if one.type == "init_declarator" else one
        if one.type == "init_declarator" and _numbers(one.child_by_field_name("value"), fragment, context) is not None:
            return True
        function = around(declaration, ("function_definition", "lambda_expression"))
        if name is None or name.type != "identifier" or function is None:
            continue
        for assignment in assignments(text_of(name), declaration.end_byte, function.end_byte, fragment):
            if _numbers(assignment.child_by_field_name("right"), fragment, context) is not None:
                return True
    return False


def _numbers(given: Node | None, fragment: Fragment, context: Context) -> Node | None:
    """The list or the number that a view is made of here; None where it is made of something else."""
    if given is None:
        return None
    inner = [child for child in given.named_children if child.type != "comment"]
    if given.type == "argument_list":
        return _numbers(inner[0], fragment, context) if len(inner) == 1 else None
    if given.type == "compound_literal_expression" and not text_of(given.child_by_field_name("type") or given).strip(
        "{ }"
    ):
        given = given.child_by_field_name("value") or given
    if given.type == "initializer_list":
        inner = [child for child in given.named_children if child.type != "comment"]
        if len(inner) == 1 and inner[0].type == "initializer_list":
            return _numbers(inner[0], fragment, context)
        is_list = bool(inner) and all(_is_integer(one, fragment, context) for one in inner)
        return given if is_list else None
    return given if _is_integer(given, fragment, context) else None


def _is_integer(node: Node, fragment: Fragment, context: Context) -> bool:
    kind = context.type_of(node, fragment)
    return node.type == "number_literal" or (kind.name in INTEGERS and not kind.pointers)


def _kept(site: Site, context: Context) -> Diagnostic:
    message = "an optional view that is kept points at numbers which are gone when the statement ends"
    advice = "give the numbers a variable, `const std::vector<int64_t> dims = {0};`, and make the view of it"
    return context.diagnose(site, "TSA181", message, advice)
