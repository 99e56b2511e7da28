"""Tensors that may be undefined, and are asked what an undefined tensor has no answer to in the stable API."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Diagnostic, Span
from torch_stabilize.rules.context import Context, Site, SiteKind
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.sites import in_legacy_branch
from torch_stabilize.source.declarations import Declared, around, text_of
from torch_stabilize.source.document import Fragment

ASKED = page(
    "TSA176",
    "An undefined tensor is asked for its dtype or device.",
    "scalar_type() of an undefined tensor was ScalarType::Undefined, and is_cuda() false; in the stable API both raise an\n"
    "error. The variable is declared without a tensor, and not every way to this place gives it one. Ask defined() first.",
    (
        Example(
            "bool f(const std::optional<at::Tensor>& b) "
            "{ at::Tensor t; if (b) t = *b; return t.scalar_type() == at::kFloat; }",
            "bool f(const std::optional<torch::stable::Tensor>& b) "
            "{ torch::stable::Tensor t; if (b) t = *b; return t.scalar_type() == torch::headeronly::ScalarType::Float; }",
            "reported, and left as it is",
        ),
        Example(
            "bool f(const at::Tensor& b, bool c) { at::Tensor t; if (c) { t = b; } else { t = b.t(); } return t.is_cuda(); }",
            "bool f(const torch::stable::Tensor& b, bool c) { torch::stable::Tensor t; "
            "if (c) { t = b; } else { t = stable_aten::t(b); } return t.is_cuda(); }",
            "a tensor on every way",
        ),
        Example(
            "bool f(const std::optional<at::Tensor>& b) "
            "{ at::Tensor t; if (b) t = *b; return t.defined() && t.is_cuda(); }",
            "bool f(const std::optional<torch::stable::Tensor>& b) "
            "{ torch::stable::Tensor t; if (b) t = *b; return t.defined() && t.is_cuda(); }",
            "defined() is asked first",
        ),
        untouched(
            "struct Lamp { bool defined() const; int scalar_type() const; };\n"
            "int f() { Lamp l; return l.defined() ? 0 : l.scalar_type(); }",
            "of another class",
        ),
    ),
    Confidence.MANUAL,
)
UNDEFINED = "undefined tensor"
_ASKED = re.compile(
    rb"(?P<name>\w+)\s*\.\s*(?P<method>scalar_type|dtype|is_cuda|is_cpu|type|is_floating_point)\s*\(\s*\)"
)
_EMPTY = re.compile(r"\bTensor\s*(?:\(\s*\)|\{\s*\})")
_BLOCKS = frozenset({"compound_statement", "case_statement", "translation_unit", "function_definition"})
_LEAVES = frozenset({"return_statement", "throw_statement", "continue_statement", "break_statement", "goto_statement"})
_LOOPS = frozenset({"for_statement", "for_range_loop", "while_statement"})


def undefined_findings(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    """Places of a file that moves where a tensor without a value is asked for what only a value has."""
    document = context.document
    if document.path not in context.project.moving or b"Tensor" not in document.words:
        return
    for match in _ASKED.finditer(document.code):
        site = Site(Span(*match.span("method")), UNDEFINED, SiteKind.OPERATOR)
        fragment = context.fragment(site)
        name = match["name"].decode()
        node = fragment.node_at(Span(*match.span("name")))
        declared = context.project.finder.declaration_of(name, node) if node is not None else None
        if node is None or declared is None or not _is_empty(declared, node, fragment, context):
            continue
        if (
            _is_asked_first(name, node)
            or _has_value(name, declared, node)
            or in_legacy_branch(document, site.span.start)
        ):
            continue
        message = f"{name} may be undefined here, and {match['method'].decode()}() of an undefined tensor raises an error in stable code"
        yield site, context.diagnose(site, ASKED, message, f"ask {name}.defined() first")


def _is_empty(declared: Declared, node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether a local variable is declared as a tensor without a value."""
    start = fragment.tree.root_node.descendant_for_byte_range(declared.start, declared.start + 1)
    declaration = (
        around(start, ("declaration", "parameter_declaration", "for_range_loop", "field_declaration"))
        if start
        else None
    )
    if (
        declaration is None
        or declaration.type != "declaration"
        or around(declaration, ("function_definition", "lambda_expression")) is None
    ):
        return False
    if any(text_of(child) in ("static", "thread_local", "extern") for child in declaration.children):
        return False  # it keeps what it got before
    if declared.value is not None and not _EMPTY.search(text_of(declared.value)):
        return False
    if declared.type_text.endswith(("*", "&")) or not context.type_of(node, fragment).is_tensor:
        return False
    follows = start.next_sibling if start is not None else None
    return follows is None or follows.type not in ("argument_list", "initializer_list", "parameter_list")


def _is_asked_first(name: str, node: Node) -> bool:
    """Whether a condition around the place asks `defined()` of the variable, or of what it comes from."""
    walk: Node | None = node
    while walk is not None and walk.type != "function_definition":
        inner, walk = walk, walk.parent
        if walk is None:
            return False
        asked = (
            walk.child_by_field_name("condition") if walk.type in ("if_statement", "conditional_expression") else None
        )
        if walk.type == "binary_expression":
            asked = walk.child_by_field_name("left")
        if asked is not None and asked != inner and re.search(rf"\b{re.escape(name)}\s*\.\s*defined\b", text_of(asked)):
            return True
    return False


def _has_value(name: str, declared: Declared, node: Node) -> bool:
    """Whether each way from the declaration to the place gives the variable a value, as far as can be seen."""
    walk: Node | None = node
    while walk is not None and walk.start_byte > declared.start:
        before = walk.prev_named_sibling
        while before is not None and before.end_byte > declared.start:
            if before.start_byte > declared.start and _gives(name, before):
                return True
            before = before.prev_named_sibling
        if walk.type == "lambda_expression":
            return True  # run behind what nobody can see from here
        walk = walk.parent
    return False


def _gives(name: str, statement: Node) -> bool:
    """Whether a statement surely gives the variable a value, or hands it to something that may."""
    if statement.type == "if_statement":
        consequence, other = (statement.child_by_field_name(part) for part in ("consequence", "alternative"))
        if re.search(
            rf"!\s*{re.escape(name)}\s*\.\s*defined\b", text_of(statement.child_by_field_name("condition") or statement)
        ):
            return consequence is not None and (_gives(name, consequence) or leaves(consequence))
        ways = [consequence, other]
        return all(way is not None and (_gives(name, way) or leaves(way)) for way in ways)
    if statement.type in ("else_clause", *_BLOCKS):
        return any(_gives(name, child) for child in statement.named_children)
    if statement.type in _LOOPS:
        return False
    return any(_is_given(one) for one in names_in(name, statement))


def leaves(statement: Node) -> bool:
    """Whether nothing behind a statement runs: it returns, throws or ends the program."""
    last = statement
    while last.type in ("compound_statement", "else_clause") and last.named_children:
        last = last.named_children[-1]
    return last.type in _LEAVES or (last.type == "expression_statement" and _NEVER.match(text_of(last)) is not None)


_NEVER = re.compile(r"\s*(?:AT_ERROR\b|\w*CHECK\s*\(\s*false\b|(?:std::)?(?:abort|exit|terminate)\s*\()")


def names_in(name: str, statement: Node) -> Iterator[Node]:
    """The identifiers `name` in a statement."""
    waiting = [statement]
    while waiting:
        node = waiting.pop()
        if node.type == "identifier" and text_of(node) == name:
            yield node
        waiting += node.children


def _is_given(node: Node) -> bool:
    """Whether the variable is assigned to, or handed to a call that may assign to it."""
    parent = node.parent
    while parent is not None and parent.type in ("parenthesized_expression", "pointer_expression"):
        node, parent = parent, parent.parent
    if parent is None:
        return False
    if parent.type == "assignment_expression":
        return parent.child_by_field_name("left") == node
    return parent.type in ("argument_list", "initializer_list", "lambda_capture_specifier")
