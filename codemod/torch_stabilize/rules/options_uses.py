"""Options expressions where they are made: variables that held them go once every use has taken them apart."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Diagnostic, Span
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site, SiteKind
from torch_stabilize.rules.last_values import assignments, enclosing_block, uses_of
from torch_stabilize.rules.options import read_options
from torch_stabilize.rules.registry import rule
from torch_stabilize.rules.rewrite import Rewrite
from torch_stabilize.rules.sites import in_legacy_branch
from torch_stabilize.rules.tensor_calls import MethodCall, called_on, is_tensor_method, receiver_type
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.source.spans import line_end, line_start
from torch_stabilize.surface.entry import Entry

_TAKES_OPTIONS = frozenset({
    "empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like", "full_like", "from_blob", "tensor",
    "scalar_tensor", "empty_strided", "new_empty", "new_zeros", "new_ones", "new_full", "new_tensor", "to", "rand",
    "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "arange", "linspace", "logspace", "eye",
    "tril_indices", "triu_indices", "hann_window", "hamming_window", "bartlett_window", "blackman_window",
})  # fmt: skip


@rule(
    "TSA121",
    "TensorOptions is taken apart where it is used; the variable that held it is removed.",
    examples=(
        Example(
            "at::Tensor f(at::Tensor a) {\n  auto options = torch::TensorOptions().dtype(a.dtype()).device(a.device());\n"
            "  return torch::empty({8}, options);\n}",
            "torch::stable::Tensor f(torch::stable::Tensor a) {\n"
            "  return torch::stable::empty({8}, a.scalar_type(), std::nullopt, a.device());\n}",
        ),
        Example(
            "at::Tensor f(int64_t n, const torch::TensorOptions& o) { return torch::empty({n}, o); }\n"
            "at::Tensor g(at::Tensor x) { return f(2, x.options().dtype(at::kInt)); }",
            "torch::stable::Tensor f(int64_t n, const TensorOptions& o) "
            "{ return torch::stable::empty({n}, o.dtype_opt(), o.layout_opt(), o.device_opt(), o.pinned_memory_opt()); }\n"
            "torch::stable::Tensor g(torch::stable::Tensor x) "
            "{ return f(2, options_of(x).dtype(torch::headeronly::ScalarType::Int)); }",
            "handed to a function: a small class replaces it",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y) { auto o = x.options(); x = y; return at::empty({2}, o); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y) { auto o = options_of(x); x = y; "
            "return torch::stable::empty({2}, o.dtype_opt(), o.layout_opt(), o.device_opt(), o.pinned_memory_opt()); }",
            "kept where the tensor is another one at the use",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { auto d = x.options().device(); auto t = x.options().dtype(); "
            "return at::empty({2}, at::TensorOptions().dtype<float>().device(d)); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { auto d = x.device(); auto t = x.scalar_type(); "
            "return torch::stable::empty({2}, torch::headeronly::CppTypeToScalarType<float>::value, std::nullopt, d); }",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { auto o = x.options().dtype(at::kInt); auto d = o.device(); "
            "return at::empty({2}, o).to(d); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) "
            "{ auto o = options_of(x).dtype(torch::headeronly::ScalarType::Int); auto d = o.device(); "
            "return torch::stable::to(torch::stable::empty({2}, torch::headeronly::ScalarType::Int, std::nullopt, x.device()), d); }",
            "kept where it is asked, too",
        ),
        untouched(
            "struct Menu { int options() const; };\nint f(const Menu& m) { auto o = m.options(); return o + 1; }",
            "of another class",
        ),
    ),
)
def options_expression(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """An expression of type TensorOptions that no factory around it takes apart."""
    if site.kind is SiteKind.METHOD and not is_tensor_method(site, context):
        return None
    node = context.node(site)
    fragment = context.fragment(site)
    if site.kind is SiteKind.METHOD and (asked := _asked_of_tensor(site, context)) is not None:
        return asked
    statement = _statement_of(node)
    if statement is not None:
        name = _variable_of(statement)
        if name is not None and _all_uses_known(name, statement, fragment, context):
            span = _with_line(fragment.span(statement), context)
            return context.rewrite(span, (), entry.rule, also=_later_assignments(name, statement, context, fragment))
    if node is not None and _is_argument_of_factory(node):
        return Allowed("taken apart by the factory around it")
    made = _stand_in(site, node, context)
    message = f"{site.name} is kept in a place that cannot be followed"
    return made or context.diagnose(site, entry.rule, message, entry.note)


_ASKED = {"dtype": b".scalar_type()", "device": b".device()", "layout": b".layout()"}


def _asked_of_tensor(site: Site, context: Context) -> Outcome | None:
    """`x.options().device()`, which the tensor itself can be asked."""
    call = MethodCall(site, context)
    outer = called_on(call.node) if call.is_complete and call.node is not None else None
    if outer is None or arguments_of(outer[1]) or "<" in text_of(outer[1].child_by_field_name("function") or outer[1]):
        return None
    answer = _ASKED.get(outer[0])
    if answer is None:
        return None
    return context.rewrite(call.fragment.span(outer[1]), (*call.asked_parts(), answer), "TSA121")


# What c10::TensorOptions is asked for and the class that replaces it does not know; those in `_SETS` set it too.
_LACKS = re.compile(
    rb"\.\s*(?P<name>requires_grad(?:_opt)?|device_index|memory_format_opt|has_(?:requires_grad|memory_format|pinned_memory)"
    rb"|type_equal|merge_in|merge_memory_format|backend|is_sparse(?:_csr|_compressed)?|computeDispatchKey)\s*\((?P<none>\s*\))?"
)
_SETS = frozenset({b"requires_grad", b"device_index"})


def options_findings(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    """Places of a file that moves where options are asked for what the class that replaces them does not know."""
    document = context.document
    if document.path not in context.project.moving or not (
        b"options" in document.words or b"TensorOptions" in document.words
    ):
        return
    for match in _LACKS.finditer(document.code):
        site = Site(Span(*match.span("name")), match["name"].decode(), SiteKind.OPERATOR)
        is_asked = match["none"] is not None or match["name"] not in _SETS
        kind = receiver_type(site, context) if is_asked else None
        if kind is not None and kind.name == "TensorOptions" and not in_legacy_branch(document, site.span.start):
            message = f"{site.name}() of TensorOptions has no stable form"
            advice = "ask the tensor that the options are of, or keep what is asked for in a variable of its own"
            yield site, context.diagnose(site, "TSA121", message, advice)


def _stand_in(site: Site, node: Node | None, context: Context) -> Outcome | None:
    """The options as an object of a small class that holds dtype, layout and device."""
    walk = node
    while walk is not None and walk.type not in ("expression_statement", "declaration", "compound_statement"):
        walk = walk.parent
    text = text_of(walk) if walk is not None and walk.type != "compound_statement" else ""
    last = site.name.rpartition("::")[2]
    if "memory_format(" in text or "requires_grad(" in text or last in ("requires_grad", "memory_format"):
        return None
    extra: dict[str, object] = {"helpers": ("tensor_options",), "confidence": Confidence.REVIEW}
    if site.kind is SiteKind.METHOD:
        call = MethodCall(site, context)
        if not call.is_complete or call.arguments:
            return None
        return context.rewrite(call.span, (b"options_of(", *call.receiver_parts(), b")"), "TSA121", **extra)
    name = "TensorOptions" if last == "TensorOptions" else f"TensorOptions().{last}"
    return context.replace(site, name, "TSA121", **extra)


def _later_assignments(name: str, statement: Node, context: Context, fragment: Fragment) -> tuple[Rewrite, ...]:
    """`options = options.device(x);` is removed with the variable."""
    block = enclosing_block(statement)
    if statement.type != "declaration" or block is None:
        return ()
    found = []
    for assignment in assignments(name, statement.end_byte, block.end_byte, fragment):
        parent = assignment.parent
        if parent is not None and parent.type == "expression_statement":
            found.append(Rewrite(_with_line(fragment.span(parent), context), (), "TSA121"))
    return tuple(found)


def _statement_of(node: Node | None) -> Node | None:
    """The declaration or assignment statement whose value the expression is."""
    while node is not None:
        if node.type in ("declaration", "expression_statement"):
            return node
        if node.type in ("compound_statement", "function_definition", "argument_list") and not _in_chain(node):
            return None
        node = node.parent
    return None


def _in_chain(node: Node) -> bool:
    """Whether an argument list belongs to the options chain itself: `.dtype(x.dtype())`."""
    call = node.parent
    if node.type != "argument_list" or call is None or call.type != "call_expression":
        return node.type == "argument_list" and call is not None and call.type == "init_declarator"
    callee = call.child_by_field_name("function")
    last = re.split(r"::|\.|->", text_of(callee))[-1].strip() if callee is not None else ""
    return last in (
        "TensorOptions",
        "dtype",
        "device",
        "layout",
        "requires_grad",
        "pinned_memory",
        "memory_format",
        "device_index",
    )


def _variable_of(statement: Node) -> str | None:
    if statement.type == "declaration":
        declarators = statement.children_by_field_name("declarator")
        if len(declarators) != 1:
            return None
        inner = declarators[0].child_by_field_name("declarator") or declarators[0]
        return text_of(inner) if inner.type == "identifier" else None
    inner_node = statement.named_children[0] if statement.named_child_count else None
    if inner_node is None or inner_node.type != "assignment_expression":
        return None
    left = inner_node.child_by_field_name("left")
    return text_of(left) if left is not None and left.type == "identifier" else None


def _all_uses_known(name: str, statement: Node, fragment: Fragment, context: Context) -> bool:
    """Whether every use of the variable is an argument of a factory that takes it apart, or an assignment to it."""
    block = enclosing_block(statement)
    if block is None:
        return False
    seen = False
    for use in uses_of(name, block.start_byte, block.end_byte, fragment):
        parent = use.parent
        if parent is None:
            return False
        if parent.type in ("init_declarator", "declaration"):
            continue
        if parent.type == "assignment_expression" and parent.child_by_field_name("left") == use:
            continue
        if parent.type == "field_expression" and _is_question(parent):
            return False
        if _is_argument_of_factory(use):
            options = read_options(use, fragment, context)
            if options is None or options.is_stand_in:
                return False
            seen = True
            continue
        if parent.type == "field_expression" and (_in_other_options(use) or _assigned_to(name, use)):
            continue
        return False
    return seen


def _is_question(callee: Node) -> bool:
    """`options.dtype()`, which asks for what `options.dtype(x)` and `options.dtype<T>()` set."""
    call = callee.parent
    is_called = call is not None and call.type == "call_expression" and call.child_by_field_name("function") == callee
    return call is None or not is_called or (not arguments_of(call) and "<" not in text_of(callee))


def _assigned_to(name: str, node: Node) -> bool:
    """`options = options.dtype(x)`."""
    walk: Node | None = node
    while walk is not None and walk.type in ("identifier", "field_expression", "call_expression"):
        walk = walk.parent
    left = walk.child_by_field_name("left") if walk is not None and walk.type == "assignment_expression" else None
    return left is not None and text_of(left) == name


def _in_other_options(node: Node) -> bool:
    """`options.dtype(x)` within a factory's argument or another options variable."""
    walk: Node | None = node
    while walk is not None and walk.type != "compound_statement":
        if _is_argument_of_factory(walk):
            return True
        if walk.type == "declaration":
            return True
        walk = walk.parent
    return False


def _is_argument_of_factory(node: Node) -> bool:
    walk: Node | None = node
    while walk is not None and walk.parent is not None:
        parent = walk.parent
        if parent.type == "argument_list" and parent.parent is not None and parent.parent.type == "call_expression":
            callee = parent.parent.child_by_field_name("function")
            last = re.split(r"::|\.|->", text_of(callee))[-1].partition("<")[0].strip() if callee is not None else ""
            return last in _TAKES_OPTIONS or (_in_chain(parent) and _is_argument_of_factory(parent.parent))
        if parent.type not in ("field_expression", "call_expression"):
            return False
        walk = parent
    return False


def _with_line(span: Span, context: Context) -> Span:
    """The span with its indentation and line end where nothing else is on its lines."""
    data = context.document.data
    start, end = line_start(data, span.start), line_end(data, span.end)
    alone = not data[start : span.start].strip() and not data[span.end : end].strip(b" \t\r\n\\")
    return Span(start, end) if alone else span
