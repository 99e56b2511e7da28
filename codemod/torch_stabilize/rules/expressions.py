"""Rows of the tables whose stable form is an expression: the call is replaced by it, with its parts in the holes.

`{self}` is the receiver of a method, `{0}` the first argument, `{args}` all of them, `{T}` what is between the angle
brackets, and `{helper}` the name that the repository has for the helper of the row.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.rewrite import Copy, Part, Rewrite
from torch_stabilize.rules.tensor_calls import MethodCall, asked, inside, is_receiver
from torch_stabilize.source.declarations import text_of
from torch_stabilize.surface.entry import Entry

_HOLE = re.compile(r"\{(self|args|T|helper|\d)\}")


def by_template(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """The call of a method or function replaced by the expression that `entry` has for it."""
    call = MethodCall(site, context)
    if site.kind is SiteKind.METHOD:
        if not is_receiver(site, context, entry):
            return None
        if not call.is_complete:
            return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    elif call.node is None:
        return context.diagnose(site, entry.rule, f"{site.name} is not called here", entry.note)
    fewest, most = entry.arity or (0, len(call.arguments))
    if not fewest <= len(call.arguments) <= most:
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form with these arguments", entry.note)
    return expression_of(context, call, entry.stable, entry)


def expression_of(context: Context, call: MethodCall, text: str, entry: Entry, *, is_enclosed: bool = False) -> Rewrite:
    """The call replaced by the template `text`."""
    assert call.node is not None
    pieces = _HOLE.split(text)
    parts: list[Part] = [pieces[0].encode()]
    seen: set[str] = set()
    for hole, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        parts += _filled(context, call, entry, hole, is_asked=piece.startswith("."), is_repeated=hole in seen)
        is_arrow = hole == "self" and call.callee is not None and call.through_pointer and piece.startswith(".")
        parts.append((f"->{piece[1:]}" if is_arrow else piece).encode())
        seen.add(hole)
    is_operand = text.startswith("{self}") and text != "{self}" and not is_enclosed and _binds_tighter(call.node)
    return context.rewrite(call.span, (b"(", *parts, b")") if is_operand else tuple(parts), entry.rule, entry=entry)


def _filled(
    context: Context, call: MethodCall, entry: Entry, hole: str, *, is_asked: bool, is_repeated: bool
) -> tuple[Part, ...]:
    """What is in a hole; where a member of it follows, `is_asked`."""
    if hole == "helper":
        return (context.project.helpers.name(entry.helper).encode(),)
    if hole == "T":
        return (call.template_text().encode(),)
    if hole == "args":
        given = inside(call.argument_list, call.fragment)
        return (given,) if given is not None else ()
    if hole == "self":
        assert call.receiver is not None
        found: tuple[Part, ...] = (call.fragment.span(call.receiver),) if is_asked else call.receiver_parts()
    else:
        argument = call.arguments[int(hole)]
        found = asked(argument, call.fragment) if is_asked else (call.fragment.span(argument),)
    return tuple(part if isinstance(part, bytes) or not is_repeated else Copy(part) for part in found)  # type: ignore[arg-type]


def _binds_tighter(node: Node) -> bool:
    """Whether an operator or a member access around the call would tear a binary expression apart."""
    parent = node.parent
    if parent is None or parent.type not in (
        "unary_expression",
        "binary_expression",
        "field_expression",
        "cast_expression",
    ):
        return False
    operator = parent.child_by_field_name("operator")
    return parent.type != "binary_expression" or operator is None or text_of(operator) not in ("&&", "||")
