"""Where the value of an expression ends up at a place that no tensor can be: in a condition, an index, a number."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.rules.context import Context
from torch_stabilize.rules.operators import operands, operator_of
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.signatures import Function
from torch_stabilize.source.types import TENSOR, CppType, parse_type

# What an expression is put into that no tensor can be put into.
_TRUTHS = frozenset({"condition_clause", "while_statement", "do_statement", "static_assert_declaration"})
_ELSEWHERE = frozenset({
    "cast_expression", "sizeof_expression", "template_argument_list", "enumerator", "array_declarator", "case_statement",
    "bitfield_clause", "new_expression", "new_declarator", "decltype", "switch_statement", "kernel_call_syntax",
    "subscript_argument_list",
})  # fmt: skip
_INSIDE = frozenset({
    "parenthesized_expression", "binary_expression", "unary_expression", "initializer_list", "comma_expression",
})  # fmt: skip


def wants_a_number(node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether the value of an expression is put where no tensor can be: a condition, an index, a variable of an int."""
    current = node
    while (parent := current.parent) is not None:
        if parent.type == "binary_expression" and operator_of(parent) in ("&&", "||", "<<", ">>"):
            return operator_of(parent) in ("&&", "||")
        if parent.type == "binary_expression" and any(
            is_other(context.type_of(side, fragment)) for side in operands(parent) if side != current
        ):
            return True
        if parent.type == "unary_expression" and operator_of(parent) == "!":
            return True
        if parent.type in _TRUTHS or parent.type in _ELSEWHERE:
            return True
        if parent.type == "conditional_expression" and parent.child_by_field_name("condition") == current:
            return True
        if parent.type == "for_statement":
            return parent.child_by_field_name("condition") == current
        if parent.type == "argument_list":
            return _argument_is_number(parent, current, fragment, context)
        if parent.type in ("init_declarator", "declaration", "return_statement", "assignment_expression"):
            return _is_kept_as_number(parent, current, fragment, context)
        if parent.type not in _INSIDE and parent.type != "conditional_expression":
            return False
        current = parent
    return False


_CASTS = frozenset({"static_cast", "reinterpret_cast", "const_cast", "dynamic_cast", "c10::checked_convert"})


def _argument_is_number(listed: Node, argument: Node, fragment: Fragment, context: Context) -> bool:
    call = listed.parent
    callee = call.child_by_field_name("function") if call is not None else None
    if call is None or callee is None:
        if call is not None and call.type == "init_declarator":
            return _is_kept_as_number(call, listed, fragment, context)
        return True  # of a kernel that is launched, or of an attribute
    name = text_of(callee).partition("<")[0].strip()
    if name in _CASTS:
        return True
    place = [c for c in listed.named_children if c.type != "comment"].index(argument)
    own = [f for _, f in context.project.finder.functions.meant_by(name)]
    wanted = [(f, parse_type(f.parameters[place].type_text)) for f in own if place < len(f.parameters)]
    return bool(wanted) and all(_is_number(kind) and not _is_parameter(kind, f) for f, kind in wanted)


def _is_parameter(kind: CppType, function: Function) -> bool:
    """Whether a type is a template parameter of the function, which may be a tensor."""
    return not kind.pointers and kind.name in re.findall(r"[A-Za-z_]\w*", function.template)


def _is_kept_as_number(parent: Node, value: Node, fragment: Fragment, context: Context) -> bool:
    if parent.type == "assignment_expression":
        left = parent.child_by_field_name("left")
        if left is None or left == value:
            return False
        return _is_number(context.type_of(left, fragment))
    scope: Node | None = parent
    if parent.type == "return_statement":
        while scope is not None and scope.type not in ("function_definition", "lambda_expression"):
            scope = scope.parent
    elif parent.type == "init_declarator":
        scope = parent.parent
    kind = scope.child_by_field_name("type") if scope is not None else None
    if kind is None:
        return False
    finder, written = context.project.finder, parse_type(text_of(kind))
    meant = finder.instances.kinds_of(written, value, context.document)
    return not any(map(holds_tensor, meant)) and _is_number(finder.written.resolved(written))


def _is_number(kind: CppType) -> bool:
    return kind.is_known and kind.name != "auto" and not holds_tensor(kind)


def is_other(kind: CppType) -> bool:
    """Whether a type is known to be neither a tensor's nor a number's: a pointer, a string, a class."""
    return kind.is_known and (kind.pointers > 0 or bool(kind.arguments) or kind.name in ("string", "list"))


def holds_tensor(kind: CppType) -> bool:
    """Whether a type is a tensor's, or is made of one."""
    return kind.name == "Tensor" or kind.inner == TENSOR or any(map(holds_tensor, kind.arguments))
