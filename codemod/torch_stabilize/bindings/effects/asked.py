"""Conditions that ask for a device: which they ask for, and what follows where they hold."""

from __future__ import annotations

from tree_sitter import Node

from torch_stabilize.source.callees import reference_of
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.surface.effects import is_check

_METHODS = {"is_cuda": "CUDA", "is_hip": "CUDA", "is_cpu": "CPU"}
_CONSTANTS = {"CUDA": "CUDA", "HIP": "CUDA", "CPU": "CPU"}
_ERRORS = frozenset({"AT_ERROR", "C10_THROW_ERROR"})
_LIKELY = frozenset({"C10_LIKELY", "C10_UNLIKELY", "__builtin_expect"})


def _field_text(node: Node, name: str) -> str:
    found = node.child_by_field_name(name)
    return text_of(found) if found is not None else ""


def asked_method(node: Node) -> str:
    """The device that `x.is_cuda()` asks for, "" for any other expression."""
    callee = node.child_by_field_name("function") if node.type == "call_expression" else None
    if callee is None or callee.type != "field_expression":
        return ""
    return _METHODS.get(receiver_type_parts(callee)[1], "")


def constant(node: Node) -> str:
    """The device that `at::kCUDA` or `c10::DeviceType::CUDA` is, "" for any other expression."""
    if node.type not in ("identifier", "qualified_identifier"):
        return ""
    scope, _, name = reference_of(node).rpartition("::")
    if scope.rpartition("::")[2] == "DeviceType":
        return _CONSTANTS.get(name, "")
    return _CONSTANTS.get(name.removeprefix("k"), "") if name.startswith("k") else ""


def asks(node: Node) -> bool:
    """Whether an expression asks for a device; one that only names a device to move to does not."""
    if asked_method(node) or constant(node):
        return True
    callee = node.child_by_field_name("function") if node.type == "call_expression" else None
    if callee is not None and callee.type == "field_expression":  # `x.to(at::kCPU)`
        return asks(callee) or any(asks(argument) for argument in arguments_of(node) if not constant(argument))
    return any(asks(child) for child in node.named_children)


def implied(node: Node, *, holds: bool) -> frozenset[str]:
    """The devices that a condition insists on where it holds, or where it does not."""
    if device := asked_method(node):
        return frozenset({device}) if holds else frozenset()
    if node.type in ("parenthesized_expression", "condition_clause"):
        inner = [child for child in node.named_children if child.type != "comment"]
        return implied(inner[-1], holds=holds) if inner else frozenset()
    if node.type == "unary_expression" and text_of(node).startswith("!"):
        argument = node.child_by_field_name("argument")
        return implied(argument, holds=not holds) if argument is not None else frozenset()
    if node.type == "call_expression" and _field_text(node, "function") in _LIKELY:
        return implied(arguments_of(node)[0], holds=holds) if arguments_of(node) else frozenset()
    if node.type == "binary_expression":
        return _implied_by_both(node, holds)
    return frozenset()


def _implied_by_both(node: Node, holds: bool) -> frozenset[str]:
    sides = [side for side in (node.child_by_field_name("left"), node.child_by_field_name("right")) if side is not None]
    sign = _field_text(node, "operator")
    if sign in ("&&", "and", "||", "or"):
        found = [implied(side, holds=holds) for side in sides]
        return frozenset().union(*found) if (sign in ("&&", "and")) == holds else found[0].intersection(*found[1:])
    if sign in ("==", "!=") and (sign == "==") == holds:
        return frozenset(filter(None, map(constant, sides)))
    return frozenset()


def fails(node: Node | None) -> bool:
    """Whether a statement always ends in an error: a `throw`, or a check of `false`."""
    if node is None:
        return False
    if node.type == "compound_statement":
        return fails(next((child for child in reversed(node.named_children) if child.type != "comment"), None))
    if node.type in ("expression_statement", "else_clause") and node.named_children:
        return fails(node.named_children[0])
    if node.type == "call_expression":
        name, given = _field_text(node, "function"), arguments_of(node)
        return name in _ERRORS or (is_check(name) and bool(given) and text_of(given[0]) == "false")
    return node.type == "throw_statement"
