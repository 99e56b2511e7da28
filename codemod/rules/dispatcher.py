"""Calls that only the dispatcher can make, through the typed wrappers of stable_aten.h."""

from __future__ import annotations

from tree_sitter import Node

from codemod.model import Confidence, Span
from codemod.rules.context import Context, Outcome, Site
from codemod.rules.rewrite import Part
from codemod.rules.tensor_calls import MethodCall
from codemod.source.types import CppType
from codemod.surface.schemas import Op, choose
from codemod.surface.table import Entry, TableError


def choose_overload(arguments: tuple[Node, ...], receiver: bool, context: Context, site: Site) -> Op | None:
    """The overload these arguments mean, or None where none can be called through the dispatcher."""
    fragment = context.fragment(site)
    given = ["Tensor"] if receiver else []
    given += [kind_in_schemas(argument, context.type_of(argument, fragment)) for argument in arguments]
    op = choose(site.name.rpartition("::")[2], given, method=receiver)
    return op if op is not None and not op.obstacles else None


def kind_in_schemas(node: Node, kind: CppType) -> str:
    """A type in the words of the schemas."""
    if node.type == "initializer_list":
        return "list"
    if kind.name in ("int", "int32_t", "size_t", "long", "unsigned int", "uint32_t"):
        return "int64_t"
    if kind.name == "float":
        return "double"
    if kind.name in ("vector", "optional") and kind.inner is not None:
        return f"{kind.name}<{kind.inner.name}>"
    return kind.name if kind.name != "auto" else ""


def wrapper_call(site: Site, context: Context, entry: Entry, call: MethodCall) -> Outcome:
    """`x.cumsum(0)` -> `stable_aten::cumsum(x, 0)`."""
    op = choose_overload(call.arguments, True, context, site)
    if op is None:
        return context.diagnose(
            site, "TSA131", f"the dispatcher cannot be handed the arguments of {site.name}", entry.note
        )
    inside: list[Part] = list(call.receiver_parts())
    for argument in call.arguments:
        inside += [b", ", call.fragment.span(argument)]
    return _wrapped(context, call.span, site, op, tuple(inside))


def wrapper_function(site: Site, context: Context, entry: Entry, given: list[Node]) -> Outcome:
    """`torch::cumsum(x, 0)` -> `stable_aten::cumsum(x, 0)`."""
    op = choose_overload(tuple(given), False, context, site)
    if op is None:
        return context.diagnose(
            site, "TSA131", f"the dispatcher cannot be handed the arguments of {site.name}", entry.note
        )
    return _wrapped(context, None, site, op, ())


def _wrapped(context: Context, span: Span | None, site: Site, op: Op, inside: tuple[Part, ...]) -> Outcome:
    from codemod.surface.aten import NAMESPACE, wrapper

    try:
        wrapper(op.name, op.overload)
    except TableError as error:
        return context.diagnose(site, "TSA131", str(error), "write a kernel for it, or call the op from Python")
    name = f"{NAMESPACE}::{op.cpp_name}".encode()
    extra = {"helpers": (f"aten:{op.qualified}",), "confidence": Confidence.REVIEW}
    if span is not None:
        return context.rewrite(span, (name + b"(", *inside, b")"), "TSA130", **extra)
    return context.rewrite(site.span, (name,), "TSA130", **extra)
