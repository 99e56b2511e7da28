"""Calls that only the dispatcher can make, through the typed wrappers of stable_aten.h."""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node

from codemod.model import Confidence, Span
from codemod.rules.context import Context, Outcome, Site
from codemod.rules.options import NOTHING, read_options
from codemod.rules.rewrite import Part
from codemod.rules.tensor_calls import MethodCall
from codemod.source.declarations import text_of
from codemod.source.document import Fragment
from codemod.source.types import CppType
from codemod.surface.aten import NAMESPACE, aten_name, wrapper
from codemod.surface.numbers import INTEGERS_ONLY
from codemod.surface.schemas import Op, choose, find_op, schema_kind
from codemod.surface.table import TableError


def choose_overload(arguments: tuple[Node, ...], receiver: bool, context: Context, site: Site) -> Op | None:
    """The overload these arguments mean, or None where none can be called through the dispatcher."""
    fragment = context.fragment(site)
    before = ("Tensor",) if receiver else ()
    op, given = _choose(site, arguments, fragment, context, before=before, method=receiver)
    if op is not None and op.name in INTEGERS_ONLY and {*before, *given} != {"int64_t"}:
        return None
    return op if op is not None and not op.obstacles else None


def _choose(
    site: Site,
    arguments: Sequence[Node],
    fragment: Fragment,
    context: Context,
    *,
    before: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    method: bool = False,
) -> tuple[Op | None, list[str]]:
    """The overload for `arguments` between other kinds, and their kinds; numbers in braces are tried as numbers too."""
    op, kinds = None, list[str]()
    for read in (arguments, [_unbraced(argument) for argument in arguments]):
        kinds = [kind_in_schemas(one, context.type_of(one, fragment)) for one in read]
        op = choose(aten_name(site.name), [*before, *kinds, *after], method=method)
        if op is not None:
            break
    return op, kinds


def _unbraced(node: Node) -> Node:
    """`n` of `{n}`, which a number may be given as."""
    return node.named_children[0] if node.type == "initializer_list" and node.named_child_count == 1 else node


def kind_in_schemas(node: Node, kind: CppType) -> str:
    """The type of an expression in the words of the schemas."""
    return "list" if node.type == "initializer_list" else schema_kind(kind)


_OTHER_ARGUMENTS = "Hand it tensors where numbers stand, call another op that does the same, or write a kernel."


def wrapper_call(site: Site, context: Context, call: MethodCall) -> Outcome:
    """`x.cumsum(0)` -> `stable_aten::cumsum(x, 0)`."""
    if (square := _square(site, call.arguments)) is not None:
        return _wrapped(context, call.span, site, square, call.receiver_parts())
    op = choose_overload(call.arguments, True, context, site)
    if op is None:
        return context.diagnose(
            site, "TSA131", f"the dispatcher cannot be handed the arguments of {site.name}", _OTHER_ARGUMENTS
        )
    return _wrapped(context, call.span, site, op, (*call.receiver_parts(), *call.following()))


def wrapper_function(site: Site, context: Context, given: list[Node]) -> Outcome:
    """`torch::cumsum(x, 0)` -> `stable_aten::cumsum(x, 0)`."""
    node, fragment = context.call(site), context.fragment(site)
    if node is not None and (square := _square(site, given[1:])) is not None:
        return _wrapped(context, fragment.span(node), site, square, (fragment.span(given[0]),))
    op = choose_overload(tuple(given), False, context, site)
    if op is None and given:
        made = _with_options(site, context, given)
        if made is not None:
            return made
    if op is None:
        return context.diagnose(
            site, "TSA131", f"the dispatcher cannot be handed the arguments of {site.name}", _OTHER_ARGUMENTS
        )
    return _wrapped(context, None, site, op, ())


def _square(site: Site, exponent: Sequence[Node]) -> Op | None:
    """The op for `x.pow(2)`, whose exponent cannot be handed over: torch defines `square` as that power."""
    name = aten_name(site.name)
    if name not in ("pow", "pow_") or len(exponent) != 1 or text_of(exponent[0]) != "2":
        return None
    return find_op(name.replace("pow", "square"))


def _with_options(site: Site, context: Context, given: list[Node]) -> Outcome | None:
    """`torch::rand({n}, options)` with its options taken apart; None where no overload takes what they set."""
    fragment = context.fragment(site)
    call = context.call(site)
    options = read_options(given[-1], fragment, context)
    if options is None or options.requires_grad or call is None:
        return None
    op, kinds = _choose(site, given[:-1], fragment, context, after=("ScalarType", "nullopt", "Device", "bool"))
    if op is None or op.obstacles or (op.name in INTEGERS_ONLY and set(kinds) != {"int64_t"}):
        return None
    tail = [options.dtype_parts(), options.layout_parts(), options.device_parts(), options.pinned or NOTHING]
    while tail and tail[-1] == NOTHING:
        tail.pop()
    inside: list[Part] = []
    groups = [*((fragment.span(argument),) for argument in given[:-1]), *tail]
    for place, group in enumerate(groups):
        inside += [b", ", *group] if place else group
    return _wrapped(context, fragment.span(call), site, op, tuple(inside))


def _wrapped(context: Context, span: Span | None, site: Site, op: Op, inside: tuple[Part, ...]) -> Outcome:
    try:
        wrapper(op.name, op.overload)
    except TableError as error:
        return context.diagnose(site, "TSA131", str(error), "write a kernel for it, or call the op from Python")
    name = f"{NAMESPACE}::{op.cpp_name}".encode()
    extra = {"helpers": (f"aten:{op.qualified}",), "confidence": Confidence.REVIEW}
    if span is not None:
        return context.rewrite(span, (name + b"(", *inside, b")"), "TSA130", **extra)
    return context.rewrite(site.span, (name,), "TSA130", **extra)
