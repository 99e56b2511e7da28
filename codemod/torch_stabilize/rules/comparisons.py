"""Checks that compare two values and print both where they fail."""

from __future__ import annotations

from tree_sitter import Node

from torch_stabilize.codes import Example
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.array_views import equality, is_view
from torch_stabilize.rules.check_texts import comparison_text, is_printed
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.macro_calls import braces, call_arguments, is_streamed, semicolon, whole_call
from torch_stabilize.rules.registry import rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import receiver_type_parts
from torch_stabilize.surface.entry import Entry

_OPERATORS = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_HELPER = "check_comparisons"
_CHECK_INCLUDE = "torch/headeronly/util/Exception.h"
_TORCH = frozenset({"at", "torch", "c10"})


@rule(
    "TSA202",
    "TORCH_CHECK_EQ and its kin become helper macros that print both values, or STD_TORCH_CHECK of the comparison.",
    text="`TORCH_CHECK_EQ(a, b)` prints both values when it fails; so does the helper macro. Where a value has no\n"
    "operator<<, or is written in another way now, the check and its message are written out.",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            "void f(int64_t a, int64_t b) { TORCH_CHECK_EQ(a, b); if (a) TORCH_CHECK_LE(a & 1, b); else b = 1; }",
            "void f(int64_t a, int64_t b) { STD_TORCH_CHECK_EQ(a, b); if (a) STD_TORCH_CHECK_LE(a & 1, b); else b = 1; }",
        ),
        Example(
            "#define SAME(x, y) TORCH_CHECK_EQ(x.dim(), y.dim())\nvoid f(at::Tensor a, at::Tensor b) { SAME(a, b); }",
            "#define SAME(x, y) STD_TORCH_CHECK_EQ(x.dim(), y.dim())\n"
            "void f(torch::stable::Tensor a, torch::stable::Tensor b) { SAME(a, b); }",
        ),
        Example(
            "void f(at::Tensor a, at::Tensor b) { TORCH_CHECK_EQ(a.sizes(), b.sizes()); }",
            "void f(torch::stable::Tensor a, torch::stable::Tensor b) { STD_TORCH_CHECK(a.sizes().equals(b.sizes()), "
            '"Check failed: a.sizes() == b.sizes() (", sizes_to_string(a.sizes()), " vs. ", '
            'sizes_to_string(b.sizes()), ")"); }',
            "what has no operator<< is written out",
        ),
        Example(
            "void f(at::Tensor a, int b) { if (b) TORCH_CHECK_GT(a.sum().item<int>(), b & 3); else b = 1; }",
            "void f(torch::stable::Tensor a, int b) { if (b) { STD_TORCH_CHECK(item<int>(torch::stable::sum(a)) > (b & 3), "
            '"Check failed: a.sum().item<int>() > b & 3"); } else b = 1; }',
            "so is what is written in another way now, as the text would change",
        ),
        Example(
            "void f(int a, int b) { TORCH_DCHECK_NE(a, b); }",
            'void f(int a, int b) { STD_TORCH_DCHECK(a != b, "Check failed: a != b (", a, " vs. ", b, ")"); }',
            "in debug builds only",
        ),
        Example(
            "#define TORCH_CHECK_EQ(a, b) if ((a) != (b)) throw 1\nvoid f(int n) { TORCH_CHECK_EQ(n, 1); }",
            "#define TORCH_CHECK_EQ(a, b) if ((a) != (b)) throw 1\nvoid f(int n) { TORCH_CHECK_EQ(n, 1); }",
            "a check of the project's own",
        ),
        Example(
            "void f(int n) { TORCH_CHECK_EQ(n, 1); }\n#undef TORCH_CHECK_EQ\n#define TORCH_CHECK_EQ(a, b) if ((a) != (b)) throw 1\n"
            "void g(int n) { TORCH_CHECK_EQ(n, 1); }",
            "void f(int n) { STD_TORCH_CHECK_EQ(n, 1); }\n#undef TORCH_CHECK_EQ\n#define TORCH_CHECK_EQ(a, b) if ((a) != (b)) throw 1\n"
            "void g(int n) { TORCH_CHECK_EQ(n, 1); }",
            "which is the project's own from its definition on",
        ),
        Example(
            "void f(int n) { DCHECK_EQ(n, 2); }",
            'void f(int n) { STD_TORCH_DCHECK(n == 2, "Check failed: n == 2 (", n, " vs. 2)"); }',
            "checked in debug builds alone",
        ),
    ),
)
def comparison(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`TORCH_CHECK_EQ(a, b)` and its kin."""
    arguments = call_arguments(site, context)
    whole = whole_call(site, context)
    last = site.name.rpartition("_")[2]
    base = entry.stable.removesuffix(f"_{last}")
    if arguments is None or whole is None or len(arguments) < 2 or is_streamed(whole, context):
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form", entry.note)
    if entry.helper == _HELPER and len(arguments) == 2 and all(_is_kept(one, site, context) for one in arguments):
        own = context.project.helpers.names.get(entry.stable)
        helpers: tuple[str, ...] = (entry.stable if own else _HELPER,)
        return context.replace(
            site, own or entry.stable, entry.rule, entry=entry, also=semicolon(whole, context), helpers=helpers
        )
    left, right, *message = arguments
    sign = _OPERATORS[last]
    parts: list[Part] = [f"{base}(".encode(), *_compared(left, right, sign, context, site)]
    helpers = (entry.helper,) if entry.helper != _HELPER else ()
    for span in message:
        parts += [b", ", span]
    if not message:
        text, more = comparison_text(left, right, sign, context.fragment(site), context)
        parts += [b", ", *text] if text else []
        helpers += more
    opening, closing = braces(site, context)
    also = (*semicolon(whole, context), *closing)
    includes = (_CHECK_INCLUDE,) if not helpers or entry.helper == _HELPER else ()
    return context.rewrite(
        whole, (opening, *parts, b")"), entry.rule, entry=entry, also=also, helpers=helpers, includes=includes
    )


def _is_kept(span: Span, site: Site, context: Context) -> bool:
    """Whether a value prints by itself, and what it is written as stays: the macro shows both."""
    fragment = context.fragment(site)
    node = fragment.node_at(span)
    if node is None or fragment.span(node) != span or not is_printed(node, fragment, context):
        return False
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.type == "subscript_expression" and context.type_of(one.named_children[0], fragment).is_tensor:
            return False
        if one.type == "call_expression" and not _is_same_call(one, fragment, context):
            return False
        waiting += one.named_children
    return True


def _is_same_call(call: Node, fragment: Fragment, context: Context) -> bool:
    callee = call.child_by_field_name("function") or call
    if callee.type == "field_expression":
        entry = context.surface.method(receiver_type_parts(callee)[1])
        return entry is None or entry.form == "same"
    return text_of(callee).removeprefix("::").partition("::")[0] not in _TORCH


def _compared(left: Span, right: Span, sign: str, context: Context, site: Site) -> tuple[Part, ...]:
    """`left == right`, or `left.equals(right)` for views of arrays."""
    fragment = context.fragment(site)
    sides = [node for span in (left, right) if (node := fragment.node_at(span)) is not None]
    views = len(sides) == 2 and any(is_view(context.type_of(side, fragment)) for side in sides)
    if views and sign in ("==", "!="):
        return equality(sides[0], sides[1], sign, fragment, context)
    return (*_operand(left, context, site), f" {sign} ".encode(), *_operand(right, context, site))


def _operand(span: Span, context: Context, site: Site) -> tuple[Part, ...]:
    """One side of a comparison, in parentheses where it binds less tightly."""
    fragment: Fragment = context.fragment(site)
    node: Node | None = fragment.node_at(span)
    loose = node is not None and node.type in ("binary_expression", "conditional_expression", "assignment_expression")
    arithmetic = node is not None and text_of(node.child_by_field_name("operator") or node) in ("+", "-", "*", "/", "%")
    return (b"(", span, b")") if loose and not arithmetic else (span,)
