"""Operations on tensors that are only spelled where a macro or a pack is expanded: `x.METHOD()`, `(first + ... + rest)`."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example
from torch_stabilize.model import Confidence, Diagnostic
from torch_stabilize.rules.called import calls_of, place_of_parameter
from torch_stabilize.rules.context import Context, Site, SiteKind
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.unknown import may_be_tensor
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document, Fragment, Macro
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.surface.table import load_surface

METHOD = page(
    "TSA183",
    "A tensor's method is called by the name that a macro is given.",
    "The stable API has functions for most methods, so that the macro has to be given the function, or be written out.",
    (
        Example(
            "#define UNARY(NAME) at::Tensor my_##NAME(const at::Tensor& t) { return t.NAME(); }\nUNARY(exp)",
            "#define UNARY(NAME) torch::stable::Tensor my_##NAME(const torch::stable::Tensor& t) { return t.NAME(); }\n"
            "UNARY(exp)",
            "reported, and left as it is",
        ),
        Example(
            "#define SIZE(x, WHAT) x.WHAT(0)\nint64_t f(at::Tensor x) { return SIZE(x, size) + SIZE(x, stride); }",
            "#define SIZE(x, WHAT) x.WHAT(0)\nint64_t f(torch::stable::Tensor x) { return SIZE(x, size) + SIZE(x, stride); }",
            "methods that stay",
        ),
        Example(
            "struct Row { Row exp(); };\n#define UNARY(x, NAME) x.NAME()\nRow f(Row r) { return UNARY(r, exp); }",
            "struct Row { Row exp(); };\n#define UNARY(x, NAME) x.NAME()\nRow f(Row r) { return UNARY(r, exp); }",
            "of another class",
        ),
    ),
    Confidence.MANUAL,
)
FOLD = page(
    "TSA184",
    "A pack of tensors is folded over an operator.",
    "`(args + ...)` applies the operator to tensors, for which the stable API has functions: write a loop or a recursion.",
    (
        Example(
            "template <class... A> at::Tensor all(const A&... a) { return (a + ...); }\n"
            "at::Tensor f(at::Tensor x) { return all(x, x); }",
            "template <class... A> torch::stable::Tensor all(const A&... a) { return (a + ...); }\n"
            "torch::stable::Tensor f(torch::stable::Tensor x) { return all(x, x); }",
            "reported, and left as it is",
        ),
        Example(
            "template <class... A> int64_t all(const A&... a) { return (a + ...); }\nint64_t f(int n) { return all(n, 2); }",
            "template <class... A> int64_t all(const A&... a) { return (a + ...); }\nint64_t f(int n) { return all(n, 2); }",
            "numbers",
        ),
        Example(
            "template <class... A> bool all(const A&... a) { return (a.defined() && ...); }\n"
            "bool f(at::Tensor x) { return all(x, x); }",
            "template <class... A> bool all(const A&... a) { return (a.defined() && ...); }\n"
            "bool f(torch::stable::Tensor x) { return all(x, x); }",
            "what the tensors are asked",
        ),
    ),
    Confidence.MANUAL,
)
_OF_TENSORS = frozenset(
    {"+", "-", "*", "/", "%", "&", "|", "^", "==", "!=", "<", ">", "<=", ">=", "+=", "-=", "*=", "/="}
)


def spliced_findings(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    """Methods by a macro's parameter, and folds, of a file that moves."""
    if context.document.path in context.project.moving:
        for macro in context.document.macros:
            if macro.params:
                yield from _methods_of(macro, context)
        if b"..." in context.document.code:
            yield from _folds(context)


def _methods_of(macro: Macro, context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    document = context.document
    fragment = document.fragment_at(macro.body.start)
    for node in _all(fragment.tree.root_node, "call_expression"):
        callee = node.child_by_field_name("function")
        if callee is None or callee.type != "field_expression":
            continue
        receiver, name = receiver_type_parts(callee)
        if receiver is None or name not in (macro.params or ()):
            continue
        given = _given(macro, name, context)
        if not any(map(_is_other, given)) or not may_be_tensor(receiver, fragment, document, context):
            continue
        site = Site(fragment.span(node), name, SiteKind.OPERATOR)
        message = f"{macro.name} calls the method that it is given as {name}: {', '.join(sorted(given))}"
        yield site, context.diagnose(site, METHOD, message, "give it the function of the stable API")


def _given(macro: Macro, parameter: str, context: Context) -> set[str]:
    place = (macro.params or ()).index(parameter)
    return {
        user.text(spans[place]).decode("utf-8", "replace").strip()
        for user, _, spans, _ in context.project.finder.macros.of(macro.name)
        if place < len(spans)
    }


def _is_other(method: str) -> bool:
    """Whether a tensor's method is written in another way with the stable API."""
    entry = load_surface().method(method)
    return entry is not None and entry.form != "same"


def _folds(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    document = context.document
    for fragment in (document.whole, *(document.fragment_at(macro.body.start) for macro in document.macros)):
        for node in _all(fragment.tree.root_node, "fold_expression"):
            names = [one for one in node.named_children if one.type == "identifier"]
            signs = {text_of(one) for one in node.children if not one.is_named}
            if not signs & _OF_TENSORS or not any(_is_tensors(one, fragment, document, context) for one in names):
                continue
            site = Site(fragment.span(node), "...", SiteKind.OPERATOR)
            message = f"`{' '.join(text_of(node).split())}` applies an operator to tensors"
            yield site, context.diagnose(site, FOLD, message, "write a loop or a recursion over the tensors")


def _is_tensors(name: Node, fragment: Fragment, document: Document, context: Context) -> bool:
    """Whether a variable, or an element of a pack, is a tensor in some call of its function."""
    finder = context.project.finder
    if finder.type_of(name, fragment, document).is_tensor:
        return True
    declared = finder.declaration_of(text_of(name), name)
    start = fragment.tree.root_node.descendant_for_byte_range(declared.start, declared.start + 1) if declared else None
    place = place_of_parameter(start) if start is not None else None
    if place is None:
        return False
    for user in finder.documents:
        for call, there in calls_of(place.name, user) if place.name.encode() in user.words else ():
            given = arguments_of(call)[place.position :]
            if any(finder.type_of(one, there, user).is_tensor for one in given):
                return True
    return False


def _all(root: Node, kind: str) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type == kind:
            yield node
        waiting += node.named_children
