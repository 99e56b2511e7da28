"""The uses of one variable's name in a stretch of code, and which of them an assignment cuts off."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from torch_stabilize.model import Span
from torch_stabilize.source.declarations import around
from torch_stabilize.source.document import Document, Fragment

_WORD = re.compile(rb"\w")
_LOOPS = frozenset({"for_statement", "for_range_loop", "while_statement", "do_statement"})
# Where a variable is seen.
SCOPES = _LOOPS | {"compound_statement", "if_statement", "switch_statement", "catch_clause", "lambda_expression",
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


def in_lambda(node: Node, binding: Node) -> bool:
    """Whether a use is in a lambda that a binding is not in, so that it may be run behind that."""
    found = around(node, ("lambda_expression",))
    return found is not None and not found.start_byte <= binding.start_byte < found.end_byte


def region_start(binding: Node, scope: Node) -> int:
    """From where a variable may hold what `binding` gives it: in a loop that it outlives also before."""
    start, walk = binding.end_byte, binding.parent
    while walk is not None and walk != scope:
        start = walk.start_byte if walk.type in _LOOPS else start
        walk = walk.parent
    return start


def stretch_behind(assignment: Node) -> Span:
    """The bytes of the tree in which every way behind `assignment` leads over it: up to the next choice around it."""
    reach, walk = assignment, assignment.parent
    while walk is not None and walk.type not in _CHOICES:
        reach, walk = walk, walk.parent
    if walk is not None and walk.type == "case_statement":
        reach = walk
    return Span(reach.start_byte, reach.end_byte)


def cuts_off(assignment: Node, node: Node, binding: Node | None) -> bool:
    """Whether every way from `binding`, or from the start, to `node` leads over `assignment`.

    The node is in the `stretch_behind` the assignment.
    """
    comes_before = binding is not None and assignment.start_byte < binding.start_byte
    if binding is not None and comes_before:
        comes_before = node.start_byte > binding.start_byte or in_lambda(node, binding)
    return assignment.end_byte <= node.start_byte and not comes_before
