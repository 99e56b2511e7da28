"""Tensors that are used after they were moved from: undefined in libtorch, without a handle in the stable API."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Diagnostic, Span
from torch_stabilize.rules.context import Context, Site, SiteKind
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.sites import in_legacy_branch
from torch_stabilize.rules.undefined import UNDEFINED, leaves, names_in
from torch_stabilize.source.callees import Callees, reference_of
from torch_stabilize.source.declarations import around, text_of
from torch_stabilize.source.document import Fragment

MOVED = page(
    "TSA178",
    "A tensor is used after it was moved from.",
    "A tensor of libtorch that was moved from is an undefined one, which can be asked defined(); a stable tensor has no\n"
    "handle any more, and asking it anything crashes. `std::exchange(x, torch::stable::Tensor())` leaves an undefined one.",
    (
        Example(
            "at::Tensor f(at::Tensor x) { at::Tensor t = std::move(x); return x.defined() ? x : t; }",
            "torch::stable::Tensor f(torch::stable::Tensor x) "
            "{ torch::stable::Tensor t = std::move(x); return x.defined() ? x : t; }",
            "reported, and left as it is",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y, bool c) { if (c) { return std::move(x); } at::Tensor t = std::move(y); "
            "y = x; return y; }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y, bool c) { if (c) { return std::move(x); } "
            "torch::stable::Tensor t = std::move(y); y = x; return y; }",
            "on no way to a use, or with a new value before it",
        ),
        Example(
            "void f(at::Tensor x, at::Tensor y, std::vector<at::Tensor>& all, int n) "
            "{ for (int i = 0; i < n; ++i) { all.push_back(std::move(x)); y = std::move(y).exp(); } }",
            "void f(torch::stable::Tensor x, torch::stable::Tensor y, std::vector<torch::stable::Tensor>& all, int n) "
            "{ for (int i = 0; i < n; ++i) { all.push_back(std::move(x)); y = stable_aten::exp(std::move(y)); } }",
            "moved again in the next turn; what only looks at a tensor does not move it",
        ),
        untouched("void g(std::string); int f(std::string s) { g(std::move(s)); return s.size(); }", "no tensor"),
    ),
    Confidence.MANUAL,
)
_MOVE = re.compile(rb"\bstd\s*::\s*(?:move|forward\s*<\s*(?:at|torch)\s*::\s*Tensor\s*>)\s*\(\s*(?P<name>\w+)\s*\)")
_STATEMENTS = ("compound_statement", "case_statement", "field_initializer_list", "function_definition", "if_statement",
               "else_clause", "for_statement", "for_range_loop", "while_statement", "do_statement", "try_statement",
               "switch_statement", "catch_clause")  # fmt: skip
_ONLY_LOOK = (
    "field_expression",
    "expression_statement",
    "binary_expression",
    "unary_expression",
    "subscript_expression",
)
_LOOPS = ("for_statement", "for_range_loop", "while_statement", "do_statement")
_ENDS = ("function_definition", "lambda_expression")


def moved_findings(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    """Places of a file that moves where a tensor is used that was moved from before."""
    document = context.document
    if document.path not in context.project.moving or b"Tensor" not in document.words:
        return
    for match in _MOVE.finditer(document.code):
        span = Span(*match.span("name"))
        fragment = context.fragment(Site(span, UNDEFINED, SiteKind.OPERATOR))
        node = fragment.node_at(span)
        if node is None or node.type != "identifier" or in_legacy_branch(document, span.start):
            continue
        found = context.type_of(node, fragment)
        if not found.is_tensor or found.pointers or found.const or not _takes_it(node, context):
            continue
        used = _used_later(node, fragment, context)
        if used is not None:
            site = Site(fragment.span(used), UNDEFINED, SiteKind.OPERATOR)
            name = text_of(node)
            message = f"{name} was moved from before it is used here, and a stable tensor has no handle then"
            yield (
                site,
                context.diagnose(
                    site, MOVED, message, f"std::exchange({name}, torch::stable::Tensor()) where it is moved"
                ),
            )


def _takes_it(node: Node, context: Context) -> bool:
    """Whether what `std::move(node)` is given to takes the tensor: not the receiver of a method, nor a `const Tensor&`."""
    call = around(node, ("call_expression",))
    parent = call.parent if call is not None else None
    while parent is not None and parent.type in ("parenthesized_expression", "conditional_expression"):
        call, parent = parent, parent.parent
    if call is None or parent is None or parent.type in _ONLY_LOOK:
        return False
    if parent.type in ("init_declarator", "declaration"):
        return "&" not in text_of(parent).partition("=")[0]
    if parent.type != "argument_list":
        return True
    callee = parent.parent.child_by_field_name("function") if parent.parent is not None else None
    if callee is None or callee.type not in ("identifier", "qualified_identifier", "template_function"):
        return True  # a constructor, or a method of a container
    given = [child for child in parent.named_children if child.type != "comment"]
    name = text_of(callee)
    if context.surface.name(name) is not None or (re.match(r"(?:at|torch)::", name) and not name.endswith("Tensor")):
        return False
    own = Callees(context.project.finder).named(reference_of(callee), len(given))
    types = [one.types[given.index(call)] for one in own if len(one.types) > given.index(call)]
    return not types or any(not kind.endswith("&") or kind.endswith("&&") for kind in types)


def _used_later(node: Node, fragment: Fragment, context: Context) -> Node | None:
    """The first use of the variable on a way on from where it is moved; None where it gets a value before, or there is none."""
    name = text_of(node)
    finder = context.project.finder
    declared = finder.declaration_of(name, node)
    walk = node
    while walk.parent is not None and walk.type not in _ENDS:
        parent = walk.parent
        if parent.type in _STATEMENTS and walk.type != "else_clause":
            following = _behind(walk) if parent.type not in ("if_statement", "else_clause") else []
            if walk.type != "compound_statement" and leaves(walk):
                return None
            done, used = _first(name, following)
            if done:
                is_same = used is not None and finder.declaration_of(name, used) == declared
                return used if is_same else None
            if parent.type in _LOOPS and declared is not None and declared.start < parent.start_byte:
                done, used = _first(name, _before(walk, node))
                return used if done else node  # moved once more in the next turn
        walk = parent
    return None


def _behind(statement: Node) -> list[Node]:
    found, following = [], statement.next_named_sibling
    while following is not None:
        found.append(following)
        following = following.next_named_sibling
    return found


def _before(body: Node, node: Node) -> list[Node]:
    """The statements of a loop's body up to the one with `node`, which follow it in the next turn."""
    return [child for child in body.named_children if child.end_byte <= node.start_byte]


def _first(name: str, statements: list[Node]) -> tuple[bool, Node | None]:
    """Whether the way ends at these statements, and the use of the variable that it ends at, if it is one."""
    for statement in statements:
        if statement.type == "else_clause":
            continue
        for use in sorted(names_in(name, statement), key=lambda one: one.start_byte):
            return True, None if _is_assigned(use) else use
        if leaves(statement):
            return True, None
    return False, None


def _is_assigned(node: Node) -> bool:
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "assignment_expression" and parent.child_by_field_name("left") == node:
        right = parent.child_by_field_name("right")
        operator = parent.child_by_field_name("operator")
        is_plain = operator is None or text_of(operator) == "="
        return is_plain and (right is None or not any(names_in(text_of(node), right)))
    return parent.type in (
        "init_declarator",
        "declaration",
        "parameter_declaration",
        "reference_declarator",
        "for_range_loop",
    )
