"""The uses of one variable's name in a stretch of code, and which of them an assignment cuts off."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tree_sitter import Node

from codemod.model import Span
from codemod.source.document import Document, Fragment, Macro, words_of

_WORD = re.compile(rb"\w")
_SCOPES = frozenset({
    "compound_statement", "for_statement", "for_range_loop", "if_statement", "while_statement", "switch_statement",
    "lambda_expression", "function_definition", "catch_clause",
})  # fmt: skip
_LOOPS = frozenset({"for_statement", "for_range_loop", "while_statement", "do_statement"})
_CHOICES = _LOOPS | {
    "if_statement", "else_clause", "case_statement", "conditional_expression", "binary_expression",
    "lambda_expression", "preproc_if", "preproc_ifdef", "preproc_else", "preproc_elif", "switch_statement",
    "catch_clause", "try_statement",
}  # fmt: skip

Macros = Mapping[str, list[tuple[Document, Macro]]]


def macros_of(documents: Sequence[Document]) -> Macros:
    """Every definition of every macro by name."""
    found: dict[str, list[tuple[Document, Macro]]] = {}
    for document in documents:
        for macro in document.macros:
            found.setdefault(macro.name, []).append((document, macro))
    return found


def macros_used(region: Span, fragment: Fragment, document: Document, macros: Macros) -> list[str]:
    """The macros whose names stand in a region of a fragment, in order of their names."""
    words = words_of(document.code[region.start + fragment.base : region.end + fragment.base])
    return sorted(word.decode() for word in words if word.decode("latin-1") in macros)


def body_of(document: Document, macro: Macro) -> tuple[Fragment, Span]:
    """The tree of a macro's body, and where the body stands in it."""
    fragment = document.fragment_at(macro.body.start)
    return fragment, macro.body.shifted(-fragment.base)


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
            if node is not None and (node.type == "identifier" or _may_be_argument(node)):
                yield node
            elif of_this and node is not None and node.parent is not None and _is_of_this(node.parent):
                yield node.parent
        place = behind


def _may_be_argument(node: Node) -> bool:
    """`x` of `at::Tensor y(x);`, which the grammar takes for a parameter's type."""
    return node.type == "type_identifier" and node.parent is not None and node.parent.type == "parameter_declaration"


def _is_of_this(node: Node) -> bool:
    receiver = node.child_by_field_name("argument") if node.type == "field_expression" else None
    return receiver is not None and receiver.type == "this"


def is_made_text(node: Node, fragment: Fragment, document: Document) -> bool:
    """Whether a macro's parameter stands behind `#`, which makes text of it."""
    before = document.code[: node.start_byte + fragment.base].rstrip()
    return before.endswith(b"#") and not before.endswith(b"##")


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
        if walk.type in _LOOPS:
            start = walk.start_byte
        walk = walk.parent
    return start


def dominates(assignment: Node, node: Node) -> bool:
    """Whether every way to `node` leads over `assignment`: nothing between it and what holds both is a choice."""
    if assignment.end_byte > node.start_byte:
        return False
    walk = assignment.parent
    while walk is not None and not walk.start_byte <= node.start_byte < walk.end_byte:
        if walk.type in _CHOICES:
            return False
        walk = walk.parent
    return walk is not None and (walk.type not in _CHOICES or walk.type == "case_statement")
