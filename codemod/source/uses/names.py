"""The uses of one variable's name in a stretch of code, and which of them an assignment cuts off."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from codemod.model import Span
from codemod.source.document import Document, Fragment

_WORD = re.compile(rb"\w")
_LOOPS = frozenset({"for_statement", "for_range_loop", "while_statement", "do_statement"})
_SCOPES = _LOOPS | {"compound_statement", "if_statement", "switch_statement", "catch_clause", "lambda_expression",
                    "function_definition"}  # fmt: skip
_CHOICES = _LOOPS | {"if_statement", "else_clause", "case_statement", "conditional_expression", "binary_expression",
                     "lambda_expression", "preproc_if", "preproc_ifdef", "preproc_else", "preproc_elif",
                     "switch_statement", "catch_clause", "try_statement"}  # fmt: skip


def identifiers(
    name: str, region: Span, fragment: Fragment, document: Document, *, of_this: bool = False
) -> Iterator[Node]:
    """The nodes in a region of a fragment that name a variable `name`, in order; also `this->name` if asked for."""
    wanted, root = name.encode(), fragment.tree.root_node
    code, base = document.code, fragment.base
    place, end = region.start + base, region.end + base
    while wanted and (place := code.find(wanted, max(0, place), end)) >= 0:
        behind = place + len(wanted)
        if not (_WORD.match(code[max(0, place - 1) : place]) or _WORD.match(code[behind : behind + 1])):
            node = root.descendant_for_byte_range(place - base, behind - base)
            around = node.parent if node is not None else None
            if node is not None and around is not None:
                # `x` of `at::Tensor y(x);` is taken for a parameter's type
                is_type = node.type == "type_identifier" and around.type == "parameter_declaration"
                receiver = around.child_by_field_name("argument") if around.type == "field_expression" else None
                if node.type == "identifier" or is_type:
                    yield node
                elif of_this and receiver is not None and receiver.type == "this":
                    yield around
        place = behind


def is_made_text(node: Node, fragment: Fragment, document: Document) -> bool:
    """Whether a macro's parameter stands behind `#`, which makes text of it."""
    before = document.code[: node.start_byte + fragment.base].rstrip()
    return before.endswith(b"#") and not before.endswith(b"##")


def is_all_of_macro(node: Node, fragment: Fragment, document: Document) -> bool:
    """Whether an expression is all that a macro stands for, so that it goes where the macro is used."""
    if fragment.macro is None:
        return False
    body, span = fragment.macro.body, fragment.span(node)
    around = document.code[body.start : span.start] + document.code[span.end : body.end]
    return not around.translate(None, b"() \t\r\n\\")


def own_scope(name: Node) -> Node | None:
    """Where a variable declared at `name` is seen; None for one outside of functions."""
    walk = name.parent
    while walk is not None and walk.type not in _SCOPES:
        walk = walk.parent
    return walk


def region_start(binding: Node, scope: Node) -> int:
    """From where a variable may hold what `binding` gives it: in a loop that it outlives also before."""
    start, walk = binding.end_byte, binding.parent
    while walk is not None and walk != scope:
        start = walk.start_byte if walk.type in _LOOPS else start
        walk = walk.parent
    return start


def dominates(assignment: Node, node: Node) -> bool:
    """Whether every way to `node` leads over `assignment`: nothing between it and what holds both is a choice."""
    walk = assignment.parent if assignment.end_byte <= node.start_byte else None
    while walk is not None and not walk.start_byte <= node.start_byte < walk.end_byte:
        if walk.type in _CHOICES:
            return False
        walk = walk.parent
    return walk is not None and (walk.type not in _CHOICES or walk.type == "case_statement")
