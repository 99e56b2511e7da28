"""Tensors that are used after they were moved from: undefined in libtorch, without a handle in the stable API."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Diagnostic, Span
from torch_stabilize.rules.called import OWNERS, given_at, place_of_parameter, variable_of
from torch_stabilize.rules.context import Context, Site, SiteKind
from torch_stabilize.rules.elements import ANY, is_renewed, named, plain, root_of
from torch_stabilize.rules.jumps import jumps
from torch_stabilize.rules.last_values import uses_of
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.sites import in_legacy_branch
from torch_stabilize.rules.undefined import UNDEFINED, leaves, names_in
from torch_stabilize.source.callees import Callees, reference_of
from torch_stabilize.source.declarations import around, text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.source.types import parse_type

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
            "void take(at::Tensor& t, at::Tensor& kept) { kept = std::move(t); }\n"
            "int64_t f(at::Tensor x, at::Tensor y) { take(x, y); return x.numel(); }",
            "void take(torch::stable::Tensor& t, torch::stable::Tensor& kept) { kept = std::move(t); }\n"
            "int64_t f(torch::stable::Tensor x, torch::stable::Tensor y) { take(x, y); return x.numel(); }",
            "moved by a function that it is handed to: reported",
        ),
        Example(
            "at::Tensor f(at::Tensor x, bool c) { auto done = [&] { return std::move(x); }; "
            "if (c) { x.zero_(); return done(); } auto t = done(); return x.defined() ? x : t; }",
            "torch::stable::Tensor f(torch::stable::Tensor x, bool c) { auto done = [&] { return std::move(x); }; "
            "if (c) { torch::stable::zero_(x); return done(); } auto t = done(); return x.defined() ? x : t; }",
            "by a lambda: reported where it is used behind a call",
        ),
        Example(
            "at::Tensor f(at::Tensor x, bool c) { at::Tensor t; if (c) { t = std::move(x); goto end; } x.zero_(); "
            "end: return x.defined() ? x : t; }",
            "torch::stable::Tensor f(torch::stable::Tensor x, bool c) { torch::stable::Tensor t; "
            "if (c) { t = std::move(x); goto end; } torch::stable::zero_(x); end: return x.defined() ? x : t; }",
            "reported behind the label",
        ),
        Example(
            "at::Tensor f(at::Tensor x, bool c) { auto done = [&] { return std::move(x); }; "
            "if (c) { x.zero_(); return done(); } return done(); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, bool c) { auto done = [&] { return std::move(x); }; "
            "if (c) { torch::stable::zero_(x); return done(); } return done(); }",
            "no use behind a call of the lambda",
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
_MOVE_ELEMENT = re.compile(rb"\bstd\s*::\s*move\s*\(\s*(?=[\w*(])(?!\w+\s*\))")
_MOVE_ALL = re.compile(rb"\bstd\s*::\s*(?:make_move_iterator|move)\s*\(\s*(?P<name>\w+)\s*\.\s*begin\s*\(")
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


def moved_findings(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    """Places of a file that moves where a tensor is used that was moved from before."""
    document = context.document
    if document.path not in context.project.moving or b"Tensor" not in document.words:
        return
    for name, moved, there in (*_moved_variables(context), *_moved_elements(context)):
        used = _used_behind(name, moved, there, context)
        if used is None:
            continue
        site = Site(there.span(used), UNDEFINED, SiteKind.OPERATOR)
        shown = text_of(moved) if not name.endswith(ANY) else f"an element of {root_of(name)}"
        message = f"{shown} was moved from before it is used here, and a stable tensor has no handle then"
        help_text = f"std::exchange({'it' if name.endswith(ANY) else shown}, torch::stable::Tensor()) where it is moved"
        yield site, context.diagnose(site, MOVED, message, help_text)


_Moved = tuple[str, Node, Fragment]  # its name, where it is moved


def _moved_variables(context: Context) -> Iterator[_Moved]:
    document = context.document
    for match in _MOVE.finditer(document.code):
        span = Span(*match.span("name"))
        fragment = context.fragment(Site(span, UNDEFINED, SiteKind.OPERATOR))
        node = fragment.node_at(span)
        if node is None or node.type != "identifier" or in_legacy_branch(document, span.start):
            continue
        found = context.type_of(node, fragment)
        if not found.is_tensor or found.pointers or found.const or not _takes_it(node, context):
            continue
        for moved, there in ((node, fragment), *_handed_over(node, fragment, context)):
            yield text_of(moved), moved, there
        loop = around(node, ("for_range_loop",))
        if loop is not None and (container := _run_through(text_of(node), loop)):
            yield container + ANY, loop, fragment


def _run_through(name: str, loop: Node) -> str:
    """The variable whose elements a loop calls `name`, by reference; "" where it is something else."""
    declared, right = loop.child_by_field_name("declarator"), loop.child_by_field_name("right")
    is_reference = declared is not None and declared.type == "reference_declarator"
    if not is_reference or right is None or right.type != "identifier" or declared is None:
        return ""
    return text_of(right) if text_of(declared).lstrip("& ") == name else ""


def _moved_elements(context: Context) -> Iterator[_Moved]:
    """Elements and members that are moved from: `std::move(v[0])`, and all of a container by its iterators."""
    document = context.document
    for match in _MOVE_ELEMENT.finditer(document.code):
        fragment = document.fragment_at(match.start())
        node = fragment.node_at(Span(match.start(), match.start() + 1))
        call = around(node, ("call_expression",)) if node is not None else None
        given = arguments_of(call) if call is not None else []
        if len(given) != 1 or in_legacy_branch(document, match.start()):
            continue
        kind = context.type_of(given[0], fragment)
        if kind.is_tensor and not kind.const and root_of(plain(given[0])) and _takes_it(given[0], context):
            yield plain(given[0]), given[0], fragment
    for match in _MOVE_ALL.finditer(document.code):
        fragment = document.fragment_at(match.start())
        node = fragment.node_at(Span(*match.span("name")))
        inner = context.type_of(node, fragment).inner if node is not None else None
        if node is not None and inner is not None and inner.is_tensor:
            yield text_of(node) + ANY, node, fragment


def _handed_over(node: Node, fragment: Fragment, context: Context) -> Iterator[tuple[Node, Fragment]]:
    """The variables that calls in this file hand to a function or lambda which moves them: `void take(at::Tensor& t)`."""
    declared = context.project.finder.declaration_of(text_of(node), node)
    owner = around(node, OWNERS)
    if declared is None or owner is None or not re.fullmatch(r"[^&]*[^&\s]\s*&", declared.type_text):
        return
    start = fragment.tree.root_node.descendant_for_byte_range(declared.start, declared.start + 1)
    place = place_of_parameter(start) if start is not None else None
    later = [one for one in names_in(text_of(node), owner) if one.start_byte > node.start_byte]
    if place is None or any(map(_is_assigned, later)):
        return
    for given, there in given_at(place, context.document):
        if given.type == "identifier":
            yield given, there


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
    if parent.type == "assignment_expression" and parent.child_by_field_name("left") == call:
        return False  # `std::move(x) = y` writes into its memory
    if parent.type != "argument_list":
        return True
    callee = parent.parent.child_by_field_name("function") if parent.parent is not None else None
    if callee is None or callee.type not in ("identifier", "qualified_identifier", "template_function"):
        return True  # a constructor, or a method of a container
    given = [child for child in parent.named_children if child.type != "comment"]
    name = reference_of(callee).removeprefix("::")
    own = Callees(context.project.finder).named(name, len(given))
    is_of_torch = context.surface.name(name) is not None or name.partition("::")[0] in ("at", "torch")
    if not own and is_of_torch and not parse_type(name).is_tensor:
        return False
    types = [one.types[given.index(call)] for one in own if len(one.types) > given.index(call)]
    return not types or any(not kind.endswith("&") or kind.endswith("&&") for kind in types)


def _used_behind(name: str, node: Node, fragment: Fragment, context: Context) -> Node | None:
    """The first use of a variable on a way on from `node`, at which it is moved from."""
    finder = context.project.finder
    declared = finder.declaration_of(root_of(name), node)
    again = _in_the_next_turn(name, node, declared.start if declared is not None else -1, fragment)
    if again is not None:
        return again
    walk, is_label = node, False
    while walk.parent is not None and walk.type != "function_definition":
        parent = walk.parent
        if walk.type == "lambda_expression" and not (declared is not None and declared.start < walk.start_byte):
            break
        if walk.type == "lambda_expression" and _is_body_of(walk, node):
            if not _captures_reference(walk, name):
                break
            if called := variable_of(walk):
                uses = uses_of(called, walk.end_byte, _end_of_function(walk), fragment)
                found = (_used_behind(name, use, fragment, context) for use in uses)
                return next((one for one in found if one is not None), None)
        if parent.type in _STATEMENTS and walk.type != "else_clause":
            left: Node | None = walk
            if is_label or walk.type == "compound_statement" or not leaves(walk):
                following = _behind(walk) if parent.type not in ("if_statement", "else_clause") else []
                used, left = _first(name, [walk, *following] if is_label else following)
                if used is not None:
                    is_same = not _is_assigned(used) and finder.declaration_of(root_of(name), used) == declared
                    return used if is_same else None
            if left is not None:
                onward = _label_of(left, fragment) or _lambda_left(left)
                if onward is None:
                    return None
                walk, is_label = onward, onward.type == "labeled_statement"
                continue
            is_again = parent.type in _LOOPS and declared is not None and declared.start < parent.start_byte
            if is_again and not _is_another_element(name):
                used, left = _first(name, _before(walk, node))
                is_used = left is None and (used is None or not _is_assigned(used))
                return (used or node) if is_used else None  # if nothing else, it is moved once more in the next turn
        walk, is_label = parent, False
    return None


def _is_another_element(name: str) -> bool:
    """Whether an element may be another one in the next turn of a loop: `v[i]`."""
    return re.search(r"[\[(][^\])]*[A-Za-z_]", name) is not None or name.startswith(("*", "(*"))


def _in_the_next_turn(name: str, node: Node, declared: int, fragment: Fragment) -> Node | None:
    """The first use of a variable at which a jump back from behind `node` arrives."""
    for jump in jumps(fragment.tree):
        if declared < jump.label <= node.start_byte < jump.start:
            for use in uses_of(name, jump.label, node.end_byte, fragment):
                return None if _is_assigned(use) else use
    return None


def _lambda_left(statement: Node) -> Node | None:
    """The body of the lambda that a `return` ends."""
    owner = around(statement, OWNERS)
    return owner.child_by_field_name("body") if owner is not None and owner.type == "lambda_expression" else None


def _label_of(statement: Node, fragment: Fragment) -> Node | None:
    """The statement with the label that a jump at the end of `statement` leads on to."""
    for jump in jumps(fragment.tree):
        if (
            jump.label > jump.end
            and statement.start_byte <= jump.start
            and statement.end_byte - 2 <= jump.end <= statement.end_byte
        ):
            label = fragment.tree.root_node.descendant_for_byte_range(jump.label, jump.label + 1)
            return around(label, ("labeled_statement",)) if label is not None else None
    return None


def _is_body_of(value: Node, node: Node) -> bool:
    body = value.child_by_field_name("body")
    return body is not None and body.start_byte <= node.start_byte < body.end_byte


def _captures_reference(value: Node, name: str) -> bool:
    """Whether a lambda has the variable itself, and no copy."""
    captures = value.child_by_field_name("captures")
    words = [word.strip() for word in text_of(captures).strip("[]").split(",")] if captures is not None else []
    is_copied = any(re.match(rf"{re.escape(name)}\b", word) for word in words)
    return f"&{name}" in words or ("&" in words and not is_copied)


def _end_of_function(node: Node) -> int:
    function = around(node, ("function_definition",))
    return function.end_byte if function is not None else node.end_byte


def _behind(statement: Node) -> list[Node]:
    found, following = [], statement.next_named_sibling
    while following is not None:
        found.append(following)
        following = following.next_named_sibling
    return found


def _before(body: Node, node: Node) -> list[Node]:
    """The statements of a loop's body up to the one with `node`, which follow it in the next turn."""
    return [child for child in body.named_children if child.end_byte <= node.start_byte]


def _first(name: str, statements: list[Node]) -> tuple[Node | None, Node | None]:
    """The first place that has the variable, or the statement before it behind which nothing runs."""
    for statement in statements:
        if statement.type == "else_clause":
            continue
        for use in sorted(named(name, statement), key=lambda one: one.start_byte):
            return use, None
        if leaves(statement):
            return None, statement
    return None, None


def _is_assigned(node: Node) -> bool:
    parent = node.parent
    if parent is None or (node.type == "identifier" and parent.type == "field_expression"):
        return parent is not None and is_renewed(node)
    if parent.type == "assignment_expression" and parent.child_by_field_name("left") == node:
        right = parent.child_by_field_name("right")
        operator = parent.child_by_field_name("operator")
        is_plain = operator is None or text_of(operator) == "="
        return is_plain and (right is None or not any(named(plain(node), right)))
    return parent.type in (
        "init_declarator",
        "declaration",
        "parameter_declaration",
        "reference_declarator",
        "for_range_loop",
    )
