"""Calls that only the dispatcher can make, through the typed wrappers of stable_aten.h."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Context, Outcome, Site
from torch_stabilize.rules.kinds import kind_in_schemas
from torch_stabilize.rules.options import NOTHING, read_options
from torch_stabilize.rules.overlapping import HELP, MESSAGE, WRITTEN_OUT, reads_part_of
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.rules.tensor_calls import MethodCall
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.surface.aten import NAMESPACE, aten_name, wrapper
from torch_stabilize.surface.entry import TableError
from torch_stabilize.surface.numbers import INTEGERS_ONLY
from torch_stabilize.surface.schemas import (
    Argument,
    Op,
    call_arguments,
    choose,
    cpp_arguments,
    find_op,
    undecided,
)

LEAKS = page(
    "TSA138",
    "This op takes a string: torch up to 2.13 loses the memory of one on every call through the dispatcher.",
    "About 50 bytes a call, fixed in torch 2.14. Call the op from Python, or another op that takes none, where it is called\n"
    "often.",
    (
        Example(
            'at::Tensor f(const at::Tensor& x) { return at::gelu(x, "tanh"); }',
            'torch::stable::Tensor f(const torch::stable::Tensor& x) { return stable_aten::gelu(x, "tanh"); }',
        ),
        untouched(
            'int gelu(int x, const char* how);\nint f(int x) { return gelu(x, "tanh"); }',
            "an op of the project",
        ),
    ),
    Confidence.REVIEW,
)


def choose_overloads(arguments: tuple[Node, ...], receiver: bool, context: Context, site: Site) -> tuple[Op, ...]:
    """The overload these arguments mean, or those that they may mean; empty where one cannot be called."""
    fragment = context.fragment(site)
    before = ("Tensor",) if receiver else ()
    op, given = _choose(site, arguments, fragment, context, before=before, method=receiver)
    if op is None or (op.name in INTEGERS_ONLY and {*before, *given} != {"int64_t"}):
        return ()
    found = undecided(aten_name(site.name), [*before, *given], method=receiver)
    return () if any(one.obstacles or one.cpp_name != op.cpp_name for one in found) else found


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
    """The overload for `arguments` between other kinds, and their kinds; numbers in braces are tried as numbers too.

    As numbers first where an overload takes one there: `tensor_split({2})` is that of sections to C++.
    """
    unbraced = [_unbraced(argument) for argument in arguments]
    as_written, as_numbers = (
        _read(site, one, fragment, context, before, after, method) for one in (arguments, unbraced)
    )
    if as_written[0] is None:
        return as_numbers
    if as_numbers[0] is not None and as_numbers[0] != as_written[0]:
        wanted = call_arguments(as_numbers[0], method=method)[len(before) :]
        braced = [place for place, one in enumerate(arguments) if one != unbraced[place]]
        if any(wanted[place].type == "int" for place in braced):
            return as_numbers
    return as_written


def _read(
    site: Site, given: Sequence[Node], fragment: Fragment, context: Context, before: tuple[str, ...],
    after: tuple[str, ...], method: bool,
) -> tuple[Op | None, list[str]]:  # fmt: skip
    kinds = ["" if _of_member(one) else kind_in_schemas(one, context.type_of(one, fragment)) for one in given]
    op = choose(aten_name(site.name), [*before, *kinds, *after], method=method)
    if op is None:
        kinds = [_of_template(kind, context) for kind in kinds]
        op = choose(aten_name(site.name), [*before, *kinds, *after], method=method)
    return op, kinds


def _of_member(node: Node) -> bool:
    """`Reducer<T>::init()`, whose type is that of a member of a template, and not the template."""
    callee = node.child_by_field_name("function") if node.type == "call_expression" else None
    return callee is not None and re.search(r">\s*::\s*\w+$", text_of(callee)) is not None


def _of_template(kind: str, context: Context) -> str:
    """A type that templates call by a name of their own is a number: no tensor's op takes another that may be any."""
    is_parameter = re.fullmatch(r"\w+", kind) and re.search(
        rb"\b(?:typename|class)\s+" + kind.encode() + rb"\b(?!\s*[:{;])", context.document.code
    )
    return "number" if is_parameter and kind not in ("Tensor", "number") else kind


def _unbraced(node: Node) -> Node:
    """`n` of `{n}`, which a number may be given as."""
    return node.named_children[0] if node.type == "initializer_list" and node.named_child_count == 1 else node


_OTHER_ARGUMENTS = "Pass tensors instead of numbers, call another op that does the same, or write a kernel."


def wrapper_call(site: Site, context: Context, call: MethodCall) -> Outcome:
    """`x.cumsum(0)` -> `stable_aten::cumsum(x, 0)`."""
    if (square := _square(site, call.arguments)) is not None:
        return _wrapped(context, call.span, site, (square,), call.receiver_parts())
    is_written_out = site.name in WRITTEN_OUT and call.receiver is not None and bool(call.arguments)
    if is_written_out and reads_part_of(call.receiver, call.arguments[0]):
        return context.diagnose(site, "TSA131", MESSAGE, HELP)
    ops = choose_overloads(call.arguments, True, context, site)
    if not ops:
        return context.diagnose(
            site, "TSA131", f"the arguments of {site.name} cannot be passed through the dispatcher", _OTHER_ARGUMENTS
        )
    places = {[a.name for a in cpp_arguments(op)].index("self") for op in ops}
    if places == {0}:
        return _wrapped(context, call.span, site, ops, (*call.receiver_parts(), *call.following()))
    if len(places) > 1:
        return context.diagnose(site, "TSA131", f"cannot tell which {site.name} this is", _OTHER_ARGUMENTS)
    inside: list[tuple[Part, ...]] = [(call.fragment.span(argument),) for argument in call.arguments]
    inside.insert(places.pop(), call.receiver_parts())
    return _wrapped(context, call.span, site, ops, tuple(p for group in inside for p in (b", ", *group))[1:])


def wrapper_function(site: Site, context: Context, given: list[Node]) -> Outcome:
    """`torch::cumsum(x, 0)` -> `stable_aten::cumsum(x, 0)`."""
    node, fragment = context.call(site), context.fragment(site)
    if node is not None and (square := _square(site, given[1:])) is not None:
        return _wrapped(context, fragment.span(node), site, (square,), (fragment.span(given[0]),))
    ops = choose_overloads(tuple(given), False, context, site)
    if not ops and given:
        made = _with_options(site, context, given)
        if made is not None:
            return made
    if not ops:
        return context.diagnose(
            site, "TSA131", f"the arguments of {site.name} cannot be passed through the dispatcher", _OTHER_ARGUMENTS
        )
    return _wrapped(context, None, site, ops, ())


def _square(site: Site, exponent: Sequence[Node]) -> Op | None:
    """The op for `x.pow(2)`, whose exponent cannot be passed: torch defines `square` as that power."""
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
    return _wrapped(context, fragment.span(call), site, (op,), tuple(inside))


def _takes_text(argument: Argument) -> bool:
    """Whether a string is handed over, even where the call leaves it to the default."""
    return argument.type == "str" or (argument.type == "str?" and argument.default is None)


def _wrapped(context: Context, span: Span | None, site: Site, ops: tuple[Op, ...], inside: tuple[Part, ...]) -> Outcome:
    try:
        for op in ops:
            wrapper(op.name, op.overload)
    except TableError as error:
        return context.diagnose(site, "TSA131", str(error), "write a kernel for it, or call the op from Python")
    rule = LEAKS if any(_takes_text(argument) for op in ops for argument in op.arguments) else "TSA130"
    name = f"{NAMESPACE}::{ops[0].cpp_name}".encode()
    extra = {"helpers": tuple(f"aten:{op.qualified}" for op in ops), "confidence": Confidence.REVIEW}
    if span is not None:
        return context.rewrite(span, (name + b"(", *inside, b")"), rule, **extra)
    return context.rewrite(site.span, (name,), rule, **extra)
