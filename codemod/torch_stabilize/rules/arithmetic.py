"""Arithmetic and comparison of tensors, and what is written into an element: calls of the operator's op."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.model import Confidence
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.kinds import kind_in_schemas
from torch_stabilize.rules.last_values import last_value
from torch_stabilize.rules.overlapping import HELP, MESSAGE, WRITTEN_OUT, reads_part_of
from torch_stabilize.rules.rewrite import Copy, Part
from torch_stabilize.rules.wide_numbers import filled
from torch_stabilize.source.calls import reached
from torch_stabilize.source.declarations import around, text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.types import parse_type
from torch_stabilize.surface.schemas import choose, overloads

RULE = "TSA140"
_OPS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "remainder", "==": "eq", "!=": "ne", "<": "lt", "<=": "le",
    ">": "gt", ">=": "ge", "&": "bitwise_and", "|": "bitwise_or", "^": "bitwise_xor",
}  # fmt: skip
_MIRRORED = {
    **{sign: sign for sign in ("+", "*", "&", "|", "^", "==", "!=")},
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}
_UNARY = {"-": "neg", "~": "bitwise_not"}
_NUMBERS = frozenset({"int64_t", "double", "number", "bool"})
_NUMBER_TYPES = re.compile(
    r"^(?:unsigned|signed|u?int(?:8|16|32|64)?(?:_t)?|long|short|char|size_t|float|double|bool"
    r"|T|scalar_t|scalar_type|opmath_t|acc_t|accscalar_t)\b"
)
_FLOATING = re.compile(r"\b(?:k?(?:Half|Float|Double|BFloat16)|kFloat(?:16|32|64))\b")


def binary(site: Site, node: Node, fragment: Fragment, context: Context) -> Outcome | None:
    """`a + b`, `a * 2`, `2 - a`, `a == b`, `a += b`, and `a[i] = b`."""
    given = [node.child_by_field_name(side) for side in ("left", "right")]
    if given[0] is None or given[1] is None:
        return None
    left, right = inside_parentheses(given[0]), inside_parentheses(given[1])
    if node.type == "assignment_expression" and site.name == "=":
        return _store(site, node, left, right, fragment, context)
    if _is_of_class(left, site.name, fragment, context):
        return None
    sign = site.name[:-1] if node.type == "assignment_expression" else site.name
    kinds = [_operand_kind(side, fragment, context) for side in (left, right)]
    op = _OPS.get(sign)
    is_assigned = node.type == "assignment_expression"
    if is_assigned and kinds[0] == "Tensor" and f"{op}_" in WRITTEN_OUT and reads_part_of(left, right):
        return context.diagnose(site, RULE, MESSAGE, HELP)
    if op is not None and kinds == ["Tensor", ""]:
        name = f"{op}_" if node.type == "assignment_expression" else op
        return _either(site, node, name, (fragment.span(left), fragment.span(right)), fragment, context)
    if op is None or "" in kinds:
        return _untold(site, context)
    if node.type == "assignment_expression":
        return _call(site, node, f"{op}_", kinds, (fragment.span(left), fragment.span(right)), fragment, context)
    if kinds[0] != "Tensor":
        return _number_first(site, node, (left, right), kinds, fragment, context)
    if sign in ("+", "-") and _are_floating((left, right), fragment, context):
        return _subtract(sign, node, left, right, fragment, context)
    return _call(site, node, op, kinds, (fragment.span(left), fragment.span(right)), fragment, context)


def _is_of_class(left: Node, sign: str, fragment: Fragment, context: Context) -> bool:
    """Whether the operator is a member of the left operand's class, which is no tensor and does not become one."""
    kind, written = context.type_of(left, fragment), context.project.finder.written
    if kind.is_tensor or kind.pointers or not written.methods_of(kind, f"operator{sign}"):
        return False
    classes = written.classes.named(kind.name)
    names = [name.removeprefix("operator ") for one in classes for name in one.methods]
    return not any(parse_type(name).is_tensor for name in names) and not any(one.bases for one in classes)


def unary(site: Site, node: Node, fragment: Fragment, context: Context) -> Outcome | None:
    """`-a` and `~a`."""
    given = node.child_by_field_name("argument")
    argument = inside_parentheses(given) if given is not None else None
    name = _UNARY.get(site.name)
    if argument is None or name is None:
        return _untold(site, context)
    return _call(site, node, name, ["Tensor"], (fragment.span(argument),), fragment, context)


def inside_parentheses(node: Node) -> Node:
    """The operand without the parentheses that a call does not need."""
    while node.type == "parenthesized_expression" and node.named_child_count == 1:
        if node.named_children[0].type == "comma_expression":
            break
        node = node.named_children[0]
    return node


def _operand_kind(node: Node, fragment: Fragment, context: Context) -> str:
    """ "Tensor", the kind of number, or "" where it cannot be told."""
    found = context.type_of(node, fragment)
    kind = kind_in_schemas(node, found)
    if kind == "Tensor" or kind in _NUMBERS:
        return kind
    return "int64_t" if not found.pointers and _NUMBER_TYPES.match(found.name) else ""


def _untold(site: Site, context: Context) -> Outcome:
    return context.diagnose(
        site,
        RULE,
        f"cannot tell what `{site.name}` does with this tensor",
        "give the operand a variable of a written type, or call the op by its name",
    )


def _number_first(
    site: Site, node: Node, sides: tuple[Node, Node], kinds: list[str], fragment: Fragment, context: Context
) -> Outcome:
    """`2 * a` is `a * 2`; `2 - a` fills a tensor with the number first, as at:: does."""
    number, tensor = (fragment.span(side) for side in sides)
    mirrored = _MIRRORED.get(site.name)
    if mirrored is not None:
        return _call(site, node, _OPS[mirrored], ["Tensor", kinds[0]], (tensor, number), fragment, context)
    if sides[1].type not in ("identifier", "field_expression"):
        if site.name == "-" and kinds[0] == "int64_t":  # an integer leaves the dtype alone
            return _call(site, node, "rsub", ["Tensor", kinds[0]], (tensor, number), fragment, context)
        return _number_before_call(site, node, sides, fragment, context)
    made, helpers = filled((b"torch::stable::empty_like(", tensor, b")"), sides[0], fragment, context)
    name = f"{_OPS[site.name]}_"
    return _call(site, node, name, ["Tensor", "Tensor"], (made, (Copy(tensor),)), fragment, context, helpers)


def _number_before_call(
    site: Site, node: Node, sides: tuple[Node, Node], fragment: Fragment, context: Context
) -> Outcome:
    """`1 / f(x)`: the call is made once, and what it gives has a name."""
    name = _OPS[site.name]
    op = choose(f"{name}_", ["Tensor", "Tensor"], method=True)
    if op is None or around(sides[0], ("function_definition", "lambda_expression")) is None:
        return context.diagnose(
            site, RULE, f"the right side of `{site.name}` would be evaluated twice", "give it a variable"
        )
    made, helpers = filled((b"torch::stable::empty_like(right)",), sides[0], fragment, context)
    parts: tuple[Part, ...] = (
        b"[&](const torch::stable::Tensor& right) { return ", f"stable_aten::{op.cpp_name}(".encode(), *made,
        b", right); }(", fragment.span(sides[1]), b")",
    )  # fmt: skip
    return context.rewrite(
        fragment.span(node), parts, RULE, helpers=(f"aten:{op.qualified}", *helpers), confidence=Confidence.REVIEW
    )


def _call(
    site: Site,
    node: Node,
    name: str,
    kinds: list[str],
    arguments: tuple[Part | tuple[Part, ...], ...],
    fragment: Fragment,
    context: Context,
    helpers: tuple[str, ...] = (),
) -> Outcome:
    op = choose(name, kinds) or choose(name, kinds, method=True)
    if op is None or op.obstacles:
        return context.diagnose(
            site,
            RULE,
            f"the operands of `{site.name}` cannot be passed through the dispatcher",
            "write a kernel for it",
        )
    parts: list[Part] = [f"stable_aten::{op.cpp_name}(".encode()]
    for place, argument in enumerate(arguments):
        parts += [b", "] if place else []
        parts += argument if isinstance(argument, tuple) else (argument,)
    return context.rewrite(
        fragment.span(node),
        (*parts, b")"),
        RULE,
        helpers=(f"aten:{op.qualified}", *helpers),
        confidence=Confidence.REVIEW,
    )


def _either(
    site: Site, node: Node, name: str, sides: tuple[Part, Part], fragment: Fragment, context: Context
) -> Outcome:
    """`a == f()` where nobody says what f returns: both overloads are there, and the compiler takes the one it means."""
    found = [
        choose(name, ["Tensor", kind]) or choose(name, ["Tensor", kind], method=True) for kind in ("Tensor", "double")
    ]
    ops = [op for op in found if op is not None and not op.obstacles]
    if len(ops) != 2 or ops[0].cpp_name != ops[1].cpp_name:
        return _untold(site, context)
    parts: tuple[Part, ...] = (f"stable_aten::{ops[0].cpp_name}(".encode(), sides[0], b", ", sides[1], b")")
    helpers = tuple(f"aten:{op.qualified}" for op in ops)
    return context.rewrite(fragment.span(node), parts, RULE, helpers=helpers, confidence=Confidence.REVIEW)


def _are_floating(sides: tuple[Node, Node], fragment: Fragment, context: Context) -> bool:
    return all(_is_floating(side, fragment, context) for side in sides)


def _is_floating(node: Node, fragment: Fragment, context: Context, depth: int = 0) -> bool:
    """Whether a tensor is sure to hold floating numbers: it was just made so, or converted."""
    if node.type == "identifier" and depth < 4:
        value = last_value(text_of(node), node, fragment, context)
        return value is not None and _is_floating(value, fragment, context, depth + 1)
    if node.type != "call_expression":
        return False
    callee, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
    if callee is None or arguments is None:
        return False
    name = re.split(r"::|\.|->", text_of(callee))[-1]
    makes = name in ("to", "toType", "empty", "zeros", "ones", "full", "rand", "randn")
    return makes and bool(_FLOATING.search(text_of(arguments)))


def _subtract(sign: str, node: Node, left: Node, right: Node, fragment: Fragment, context: Context) -> Outcome:
    alpha = b", -1)" if sign == "+" else b")"
    spans = (fragment.span(left), fragment.span(right))
    parts: tuple[Part, ...] = (b"torch::stable::subtract(", spans[0], b", ", spans[1], alpha)
    return context.rewrite(fragment.span(node), parts, RULE, includes=("torch/csrc/stable/ops.h",))


def _store(site: Site, node: Node, left: Node, right: Node, fragment: Fragment, context: Context) -> Outcome | None:
    """`a[i] = b` writes into `a`; a select alone would only name another tensor."""
    call = holding_call(left)
    if call is not None and (lasting := _gives_variable(call, fragment, context)) is not False:
        if lasting:
            return None
        return context.diagnose(
            site, RULE, "cannot tell whether this assigns to a variable or copies into a tensor", _COPY_OR_ASSIGN
        )
    kind = _operand_kind(right, fragment, context)
    spans = (fragment.span(left), fragment.span(right))
    if kind == "Tensor":
        return _call(site, node, "copy_", ["Tensor", "Tensor"], spans, fragment, context)
    if kind in _NUMBERS:
        parts, helpers = filled(spans[:1], right, fragment, context)
        return context.rewrite(
            fragment.span(node), parts, RULE, includes=("torch/csrc/stable/ops.h",), helpers=helpers
        )  # fmt: skip
    return _untold(site, context)


_LASTING = frozenset({"identifier", "field_expression", "subscript_expression", "pointer_expression"})
_COPY_OR_ASSIGN = "write copy_() where elements are written, or name the variable that is assigned"


def _gives_variable(call: Node, fragment: Fragment, context: Context) -> bool | None:
    """Whether a call returns a reference to a variable, as methods in place do; None where it cannot be told."""
    callee = call.child_by_field_name("function")
    if callee is None:
        return None
    if callee.type == "field_expression":
        return _method_gives_variable(callee, fragment, context)
    name = text_of(callee).partition("<")[0].strip()
    if name in ("std::move", "static_cast", "std::forward", "at::Tensor", "torch::Tensor"):
        return "&&" not in text_of(callee) and name == "static_cast"
    if name == "std::get":
        held = next(iter(arguments_of(call)), None)
        inner = holding_call(held) if held is not None else None
        if inner is not None:
            return _gives_variable(inner, fragment, context)
        return True if held is not None and inside_parentheses(held).type in _LASTING else None
    if name.startswith("std::"):
        return name != "std::exchange"
    entry = context.surface.name(name) if "::" in name else None
    if entry is not None:
        return name.endswith(("_", "_out"))
    value = context.project.finder.value_of(name, callee, fragment)
    if value is not None and value.type == "lambda_expression":
        declarator = value.child_by_field_name("declarator")
        return "->" in text_of(declarator) and "&" in text_of(declarator) if declarator is not None else False
    results = {"&" in function.return_type for _, function in context.project.functions.meant_by(name)}
    return results.pop() if len(results) == 1 else None


def _method_gives_variable(callee: Node, fragment: Fragment, context: Context) -> bool | None:
    receiver, method = receiver_type_parts(callee)
    finder = context.project.finder
    owner = reached(finder, context.type_of(receiver, fragment), callee, 0)
    if owner.is_tensor:
        return any(op.arguments and op.arguments[0].is_written for op in overloads(method))
    own = {
        one.returns.rstrip().endswith("&") for one, _ in finder.written.methods_of(owner._replace(pointers=0), method)
    }
    return (own.pop() if len(own) == 1 else None) if own else True  # at(), front(), value() of what holds tensors


def holding_call(left: Node) -> Node | None:
    """The call that returns what `left` is, or that an element or a member of what it returns is: `f(x).first`."""
    left = inside_parentheses(left)
    while left.type == "field_expression" and not any(child.type == "->" for child in left.children):
        inner = left.child_by_field_name("argument")
        if inner is None:
            return None
        left = inside_parentheses(inner)
    return left if left.type == "call_expression" else None


def element_owner(left: Node) -> Node | None:
    """The tensor, if it is one, that an assignment to `left` writes into: `x` of `x[i] = y` and `x.select(0, i) = y`."""
    left = inside_parentheses(left)
    if left.type == "subscript_expression":
        return left.child_by_field_name("argument")
    callee = left.child_by_field_name("function") if left.type == "call_expression" else None
    return receiver_type_parts(callee)[0] if callee is not None and callee.type == "field_expression" else None


__all__ = ["binary", "element_owner", "holding_call", "inside_parentheses", "unary"]
