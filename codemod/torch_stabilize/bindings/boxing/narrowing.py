"""Whether a parameter may become wider without anything else changing: by what takes it in the function's body.

A wider parameter must not reach what picks a type by it (a template's argument, `auto`, an overload, a braced list of
another type), nor arithmetic whose result would differ.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.source.callees import reference_of, template_argument
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Document
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import NUMBERS
from torch_stabilize.source.uses import At, Uses
from torch_stabilize.surface.effects import is_check, takes_sizes

INTEGERS = frozenset({"int", "int32_t"})
_COMPARED = frozenset({"==", "!=", "<", ">", "<=", ">="})
_COMPUTED = frozenset({"+", "-", "*", "/", "%"})
_SAME_AS_WIDER = frozenset({*INTEGERS, "int64_t", "long", "size_t"})  # which an int and an int64_t compare alike with
_TORCH = frozenset({"at", "torch"})


def type_word(text: str) -> str:
    """A parameter's type without `const`, "" for a reference, a pointer or a template."""
    return "" if re.search(r"[&*<]", text) else " ".join(word for word in text.split() if word != "const")


def may_widen(document: Document, function: Function, place: int, uses: Uses) -> bool:
    """Whether every use of a parameter means the same once its type is the wider one."""
    old = type_word(function.parameters[place].type_text)
    found = uses.places(document, function, place)
    return function.body is not None and all(at.fragment.macro is None and _keeps(at, old, uses) for at in found)


def _keeps(at: At, old: str, uses: Uses) -> bool:
    """Whether what is around an expression takes it as it takes one of the type `old`."""
    parent = at.node.parent
    if parent is None or parent.has_error:
        return False
    if parent.type == "parenthesized_expression":
        return _keeps(at.to(parent), old, uses)
    if parent.type == "argument_list":
        return _as_argument(at, parent, old, uses)
    if parent.type in ("init_declarator", "cast_expression"):
        named = parent.parent if parent.type == "init_declarator" else parent
        kind = named.child_by_field_name("type") if named is not None else None
        return kind is not None and _takes(text_of(kind), old) and _is_plain(parent)
    if parent.type == "lambda_capture_specifier":
        return True
    return old in INTEGERS and _of_integer(at, parent, old, uses)


def _of_integer(at: At, parent: Node, old: str, uses: Uses) -> bool:
    if parent.type in ("condition_clause", "kernel_call_syntax"):
        return True
    if parent.type == "unary_expression":
        return text_of(parent).startswith("!")
    if parent.type == "initializer_list":
        return _is_shape(at, parent, uses)
    sides = [side for side in parent.named_children if side != at.node and side.type != "comment"]
    if parent.type != "binary_expression" or len(sides) != 1:
        return False
    operator = text_of(parent.child_by_field_name("operator") or parent)
    is_literal = re.fullmatch(r"\d+|0[xX][0-9a-fA-F]+", text_of(sides[0])) is not None
    if operator in _COMPARED:
        kind = uses.finder.type_of(sides[0], at.fragment, at.document)
        return is_literal or (kind.name in _SAME_AS_WIDER and not kind.pointers)
    return operator in _COMPUTED and is_literal and _keeps(at.to(parent), old, uses)


def _as_argument(at: At, arguments: Node, old: str, uses: Uses) -> bool:
    call = arguments.parent
    callee = call.child_by_field_name("function") if call is not None else None
    name = reference_of(callee) if callee is not None else ""
    kind: Node | None = callee if callee is not None and callee.type == "primitive_type" else None
    if call is not None and call.type == "init_declarator" and call.parent is not None:  # dim3 grid(n)
        kind = call.parent.child_by_field_name("type")
    written = text_of(kind) if kind is not None else ""
    if callee is not None and name in ("static_cast", "dim3"):
        written = template_argument(callee) or name
    if written:
        return _takes(written, old) or (written == "dim3" and old in INTEGERS)
    if is_check(name) and arguments.named_children[0] != at.node:
        return old in INTEGERS  # a part of the message
    taken = uses.parameter_types(at)
    return len({type_word(text) for text in taken}) == 1 and _takes(taken[0], old)


def _takes(kind: str, old: str) -> bool:
    """Whether a value of the wider type becomes in `kind` what one of the type `old` became."""
    word = type_word(kind)
    return word in NUMBERS if old in INTEGERS else word == old


def _is_plain(parent: Node) -> bool:
    """`int m = n`: no reference, no pointer, no braces."""
    name = parent.child_by_field_name("declarator")
    return name is None or name.type == "identifier"


def _is_shape(at: At, braces: Node, uses: Uses) -> bool:
    """Whether a braced list is a shape: what torch's factories and the methods of a tensor are given."""
    arguments = braces.parent
    call = arguments.parent if arguments is not None and arguments.type == "argument_list" else None
    callee = call.child_by_field_name("function") if call is not None else None
    if arguments is None or callee is None:
        return False
    given = arguments_of(call) if call is not None else []
    place, name = given.index(braces), reference_of(callee)
    if callee.type == "field_expression":
        receiver, name = receiver_type_parts(callee)
        is_tensor = receiver is not None and uses.finder.type_of(receiver, at.fragment, at.document).is_tensor
        return is_tensor and takes_sizes(name, place, len(given), method=True)
    space, _, last = name.removeprefix("::").rpartition("::")
    is_torch = (
        space in _TORCH and not uses.finder.own_spaces.has(name, callee) and not uses.finder.functions.meant_by(name)
    )
    return is_torch and takes_sizes(last, place, len(given), method=False)
