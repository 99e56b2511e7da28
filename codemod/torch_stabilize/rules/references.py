"""Methods that work in place return their tensor: where legacy code continues with the result, that variable is named again."""

from __future__ import annotations

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.effects import is_repeatable
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.rewrite import Copy, Rewrite
from torch_stabilize.rules.tensor_calls import pointed
from torch_stabilize.source.declarations import innermost_name, text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.surface.schemas import overloads

ITSELF = page(
    "TSA135",
    "Where the result of a method that works in place is bound to a reference, the tensor is named again.",
    "The legacy methods return a reference to their tensor, the stable functions another handle of it.",
    (
        Example(
            "at::Tensor& f(at::Tensor& x) { auto& y = x.relu_(); y = y.exp(); return x.relu_().exp_(); }",
            "torch::stable::Tensor& f(torch::stable::Tensor& x) { auto& y = (stable_aten::relu_(x), x); "
            "y = stable_aten::exp(y); return (stable_aten::exp_(stable_aten::relu_(x)), x); }",
        ),
        Example(
            "void f(at::Tensor& x) { const auto& y = x.relu_(); auto z = x.exp_(); x.relu_(); }",
            "void f(torch::stable::Tensor& x) { const auto& y = stable_aten::relu_(x); auto z = stable_aten::exp_(x); "
            "stable_aten::relu_(x); }",
            "another handle does as well",
        ),
        untouched(
            "#define SHOW(x) #x\nconst char* f(int size) { return SHOW(size + 1); }",
            "text of another macro",
        ),
    ),
)
NOT_ITSELF = page(
    "TSA136",
    "A reference to what a method in place returns cannot be kept.",
    "The stable functions return another handle. Give the tensor a variable, and bind the reference to that.",
    confidence=Confidence.MANUAL,
)


def keep_reference(site: Site, outcome: Outcome | None, context: Context) -> Outcome | None:
    """The outcome, followed by the tensor itself where its place needs a variable."""
    if not isinstance(outcome, Rewrite) or site.kind not in (SiteKind.METHOD, SiteKind.NAME):
        return outcome
    fragment = context.fragment(site)
    call = context.call(site)
    if call is None or fragment.span(call) != outcome.span or _changed_by(call, context, fragment) is None:
        return outcome
    if not _needs_variable(call):
        return outcome
    itself = call
    while (inner := _changed_by(itself, context, fragment)) is not None:
        arrow = itself.child_by_field_name("function")
        through = arrow is not None and any(child.type == "->" for child in arrow.children)
        itself = inner
        if through:
            break
    if not is_repeatable(itself, fragment, context) or itself.type == "call_expression":
        message = f"the reference to what {site.name} returns would not be to the tensor itself"
        return context.diagnose(site, NOT_ITSELF, message, "give the tensor a variable")
    span = fragment.span(itself)
    tensor = pointed(itself, fragment, context) if through else (span,)
    named = (b"*" if through else b"", *(Copy(part) if isinstance(part, Span) else part for part in tensor))
    return outcome._replace(parts=(b"(", *outcome.parts, b", ", *named, b")"))


def _changed_by(call: Node, context: Context, fragment: Fragment) -> Node | None:
    """The tensor that a call changes and returns a reference to."""
    callee = call.child_by_field_name("function") if call.type == "call_expression" else None
    if callee is None:
        return None
    if callee.type == "field_expression":
        receiver, method = receiver_type_parts(callee)
        if not any(op.arguments and op.arguments[0].is_written for op in overloads(method)):
            return None
        return receiver
    name = text_of(callee)
    entry = context.surface.name(name.removeprefix("::")) if "::" in name else None
    given = arguments_of(call)
    if entry is None or not given or not name.endswith(("_", "_out")):
        return None
    return given[0]


def _needs_variable(call: Node) -> bool:
    """Whether what is around the call binds a reference that may be written through, or assigns."""
    node, parent = call, call.parent
    while parent is not None and parent.type == "parenthesized_expression":
        node, parent = parent, parent.parent
    if parent is None:
        return False
    if parent.type == "assignment_expression":
        return parent.child_by_field_name("left") == node
    if parent.type == "pointer_expression":
        return text_of(parent).startswith("&")
    if parent.type == "init_declarator":
        declarator, declaration = parent.child_by_field_name("declarator"), parent.parent
        kinds = (
            [text_of(c) for c in declaration.children if c.type == "type_qualifier"] if declaration is not None else []
        )
        return declarator is not None and innermost_name(declarator)[1] == "&" and "const" not in kinds
    return parent.type == "return_statement" and _returns_reference(parent)


def _returns_reference(node: Node) -> bool:
    walk: Node | None = node
    while walk is not None and walk.type not in ("function_definition", "lambda_expression"):
        walk = walk.parent
    if walk is None:
        return False
    if walk.type == "lambda_expression":
        head = walk.child_by_field_name("declarator")
        return head is not None and any(
            child.type == "trailing_return_type" and "&" in text_of(child) and "const" not in text_of(child)
            for child in head.named_children
        )
    declarator = walk.child_by_field_name("declarator")
    qualifiers = [text_of(child) for child in walk.children if child.type == "type_qualifier"]
    return declarator is not None and declarator.type == "reference_declarator" and "const" not in qualifiers
