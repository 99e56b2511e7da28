"""Methods of a tensor: turned into free functions, converted, or sent through the dispatcher."""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.kinds import kind_in_schemas
from torch_stabilize.rules.registry import page, rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.rules.tensor_calls import MethodCall, asked, is_tensor_method, tensor_call
from torch_stabilize.rules.wide_numbers import FILL, may_be_wide
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.source.types import INTEGERS
from torch_stabilize.surface.entry import Entry
from torch_stabilize.surface.schemas import undecided
from torch_stabilize.surface.versions import parse_version

page(
    "TSA130",
    "What only the dispatcher has is called through a typed wrapper in stable_aten.h.",
    "The wrapper is generated from the op's schema: every argument with its default and its exact type.",
    (
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y) { return x.where(y > x, y) + x.polygamma(1); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y) "
            "{ return stable_aten::add(stable_aten::where(stable_aten::gt(y, x), x, y), stable_aten::polygamma(1, x)); }",
            "the receiver is the second argument of the op",
        ),
        Example(
            "at::Tensor f(const at::Tensor& x, int n) { return at::arange({n}, x.options().dtype(at::kLong)); }",
            "torch::stable::Tensor f(const torch::stable::Tensor& x, int n) "
            "{ return stable_aten::arange({n}, torch::headeronly::ScalarType::Long, std::nullopt, x.device()); }",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { return x.clamp(c10::nullopt, 1).clamp(0); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) "
            "{ return stable_aten::clamp(stable_aten::clamp(x, std::nullopt, 1), 0); }",
        ),
        Example(
            "void f(at::Tensor x) { x.tensor_split({2}); x.tensor_split({1, 2}); }",
            "void f(torch::stable::Tensor x) { stable_aten::tensor_split(x, {2}); stable_aten::tensor_split(x, {1, 2}); }",
            "a number in braces is one to C++ where an overload takes one: two sections, and two places to split at",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { x.pow_(2); return at::pow(x, 2); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { stable_aten::square_(x); return stable_aten::square(x); }",
            "torch defines square as this power",
        ),
        Example(
            "at::Tensor f(const at::Tensor& x, const at::Tensor& y) { return at::_ops::lerp_Tensor::call(x, y, y); }",
            "torch::stable::Tensor f(const torch::stable::Tensor& x, const torch::stable::Tensor& y) "
            "{ return stable_aten::lerp(x, y, y); }",
            "an op by its schema",
        ),
        Example(
            "at::Tensor f(const at::Tensor& x, const int64_t* n) { return at::cumsum(x, n[0]); }",
            "torch::stable::Tensor f(const torch::stable::Tensor& x, const int64_t* n) { return stable_aten::cumsum(x, n[0]); }",
        ),
        untouched(
            "#include <cmath>\n"
            "struct Row { double cumsum(int) const; };\n"
            "double f(const Row& r, double x) { return std::exp(x) + r.cumsum(0); }",
            "of another class, and of the standard library",
        ),
    ),
)


@rule(
    "TSA117",
    "Tensor methods become free functions, the receiver first.",
    text="Chains nest: each call keeps its receiver, rewritten in turn. What the stable header cannot take (another number\n"
    "of arguments, a header too old) is called through the dispatcher.",
    examples=(
        Example(
            "torch::Tensor f(torch::Tensor x) { return x.contiguous().view({-1, 8}); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return "
            "torch::stable::view(torch::stable::contiguous(x), {-1, 8}); }",
        ),
        Example(
            "typedef at::Tensor T;\nusing Maybe = std::optional<T>;\nT f(Maybe x) { return x->clone(); }",
            "typedef torch::stable::Tensor T;\nusing Maybe = std::optional<T>;\n"
            "T f(Maybe x) { return torch::stable::clone(*x); }",
            "a tensor under names of the project's own",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { return x.sum(at::kDouble); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) "
            "{ return torch::stable::sum(x, std::nullopt, false, torch::headeronly::ScalarType::Double); }",
        ),
        Example(
            "auto f(const at::Tensor& x, at::Tensor y) { y[0].copy_(x); y.fill_(x.min()); at::t(y); "
            "return at::narrow(x, 0, 1, 2); }",
            "auto f(const torch::stable::Tensor& x, torch::stable::Tensor y) { "
            "stable_aten::copy_(torch::stable::select(y, 0, 0), x); stable_aten::fill_(y, stable_aten::min(x)); "
            "stable_aten::t(y); return stable_aten::narrow(x, 0, 1, 2); }",
            "what the stable functions do not take",
        ),
        Example(
            "void f(at::Tensor x, int64_t n, int k) { x.fill_(n); x.fill_(k); x.fill_(0); x.fill_(1LL << 60); }",
            "void f(torch::stable::Tensor x, int64_t n, int k) { stable_aten::fill_(x, n); torch::stable::fill_(x, k); "
            "torch::stable::fill_(x, 0); stable_aten::fill_(x, 1LL << 60); }",
            "a double holds no integers of 64 bits",
        ),
        Example(
            "auto f(const torch::stable::Tensor& x) { auto y = torch::stable::sum(x); "
            "return torch::stable::new_zeros(y, {2}).exp(); }",
            "auto f(const torch::stable::Tensor& x) { auto y = torch::stable::sum(x); "
            "return stable_aten::exp(torch::stable::new_zeros(y, {2})); }",
            "what somebody has migrated in part",
        ),
        Example(
            "#include <string_view>\nauto f(std::string_view s) { return s.substr(1); }",
            "#include <string_view>\nauto f(std::string_view s) { return s.substr(1); }",
            "not a tensor",
        ),
        untouched(
            "namespace own { struct Tensor { Tensor contiguous() const; Tensor zero_(); }; }\n"
            "own::Tensor f(own::Tensor x) { auto y = x.zero_(); return y.contiguous(); }",
            "a class of that name in another namespace",
        ),
    ),
)
def methods_to_functions(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.view(s)` -> `torch::stable::view(x, s)`; names of functions are renamed in place."""
    if site.kind is SiteKind.NAME:
        return _named_function(site, context, entry)
    if not is_tensor_method(site, context):
        return None
    return free_function(site, context, entry)


def free_function(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """The call with its receiver as first argument, by the stable header or by the dispatcher."""
    if site.kind is SiteKind.NAME:
        return _named_function(site, context, entry)
    call = tensor_call(site, context)
    if not isinstance(call, MethodCall):
        return call
    usable = entry if entry.form == "dispatcher" or _fits(context, call, entry) else context.surface.fallback(entry)
    if usable is None:
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form with these arguments", entry.note)
    if usable.form == "dispatcher":
        from torch_stabilize.rules.dispatcher import wrapper_call

        return wrapper_call(site, context, call)
    return _call(context, call, usable, usable.stable, _arguments(context, call, usable))


def _named_function(site: Site, context: Context, entry: Entry) -> Outcome | None:
    node = context.call(site)
    given = arguments_of(node) if node is not None else []
    fragment = context.fragment(site)
    fits = (
        _arity_fits(entry, len(given))
        and context.surface.available(entry, context.project.target, context.project.headers)
        and _is_overload(entry, [_kind(argument, fragment, context) for argument in given])
        and not (entry.stable == FILL and len(given) == 2 and may_be_wide(given[1], fragment, context))
        and not (entry.mutates and given and not _is_variable(given[0], fragment, context))
    )
    usable = entry if fits or entry.form == "dispatcher" else context.surface.fallback(entry)
    if usable is None:
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form with these arguments", entry.note)
    if usable.form == "dispatcher":
        from torch_stabilize.rules.dispatcher import wrapper_function

        return wrapper_function(site, context, given)
    place = _DIMENSIONS.get(entry.stable, len(given))
    if place < len(given) and node is not None:
        inside: list[Part] = [entry.stable.encode() + b"("]
        for number, argument in enumerate(given):
            inside += [b", "] if number else []
            inside += _dimensions(context, fragment, argument) if number == place else (fragment.span(argument),)
        return context.rewrite(fragment.span(node), (*inside, b")"), entry.rule, entry=entry)
    return context.replace(site, entry.stable, entry.rule, entry=entry)


def _call(context: Context, call: MethodCall, entry: Entry, name: str, inside: tuple[Part, ...]) -> Outcome:
    return context.rewrite(call.span, (name.encode() + b"(", *inside, b")"), entry.rule, entry=entry)


def _arguments(context: Context, call: MethodCall, entry: Entry) -> tuple[Part, ...]:
    parts: list[Part] = list(call.receiver_parts())
    dimensions = _DIMENSIONS.get(entry.stable)
    if dimensions is None:
        return (*parts, *call.following())
    for place, argument in enumerate(call.arguments, 1):
        span = call.fragment.span(argument)
        parts += [b", ", *(_dimensions(context, call.fragment, argument) if place == dimensions else (span,))]
    return tuple(parts)


# Which argument of a function is its dimensions, behind an optional array view that does not own its numbers.
_DIMENSIONS = {"torch::stable::sum": 1, "torch::stable::sum_out": 2}
_OTHER_INTEGERS = INTEGERS - {"int64_t", "long", "long long"}


def _dimensions(context: Context, fragment: Fragment, argument: Node) -> tuple[Part, ...]:
    """Dimensions as a vector: a braced list, or a number that is not an int64_t, would dangle in the array view."""
    span = fragment.span(argument)
    if argument.type == "initializer_list":
        return (b"std::vector<int64_t>", span)
    if argument.type in ("number_literal", "unary_expression"):
        return (b"std::vector<int64_t>{", span, b"}")
    found = context.type_of(argument, fragment)
    if found.name == "ScalarType":  # sum(dtype) has no dimensions
        return (b"std::nullopt, false, ", span)
    is_narrow = not found.pointers and found.name in _OTHER_INTEGERS
    return (b"static_cast<int64_t>(", span, b")") if is_narrow else (span,)


def _arity_fits(entry: Entry, given: int) -> bool:
    return entry.arity is None or entry.arity[0] <= given <= entry.arity[1]


def _fits(context: Context, call: MethodCall, entry: Entry) -> bool:
    if not _arity_fits(entry, len(call.arguments)):
        return False
    if not context.surface.available(entry, context.project.target, context.project.headers):
        return False
    if entry.stable.endswith("::view") and call.arguments:
        kind = context.type_of(call.arguments[0], call.fragment)
        if kind.name == "ScalarType":
            return _has_newer(context, entry, "view.dtype")
    kinds = ["Tensor", *(_kind(argument, call.fragment, context) for argument in call.arguments)]
    if not _is_overload(entry, kinds, method=True):
        return False
    if entry.stable == FILL and call.arguments and may_be_wide(call.arguments[0], call.fragment, context):
        return False
    assert call.receiver is not None
    return not entry.mutates or _is_variable(call.receiver, call.fragment, context)


def _has_newer(context: Context, entry: Entry, overload: str) -> bool:
    """Whether the headers in use have an overload that the stable function got later."""
    newer = dict(entry.newer)
    headers = context.project.headers or context.project.target
    return overload in newer and parse_version(headers) >= parse_version(newer[overload])


def _kind(node: Node, fragment: Fragment, context: Context) -> str:
    return kind_in_schemas(node, context.type_of(node, fragment))


def _is_overload(entry: Entry, kinds: list[str], *, method: bool = False) -> bool:
    """Whether arguments of these kinds mean the one overload that the stable function is."""
    found = undecided(entry.overload.partition(".")[0], kinds, method=method) if entry.overload else ()
    return not found or any(op.qualified == entry.overload for op in found)


def _is_variable(node: Node, fragment: Fragment, context: Context) -> bool:
    """Whether an expression may be bound to a `Tensor&`: a row of a tensor is a new tensor."""
    if node.type == "subscript_expression":
        base = node.child_by_field_name("argument")
        kind = context.type_of(base, fragment)
        return kind.is_known and not kind.is_tensor and not kind.const
    if node.type not in ("identifier", "field_expression"):
        return False
    return not context.type_of(node, fragment).const and not _is_bound_to_const(node, fragment, context, _BINDINGS)


_BINDINGS = 4  # references to references that are followed
_HOLDERS = frozenset({"value", "at", "front", "back"})  # what is in a const container or optional is const


def _is_bound_to_const(node: Node, fragment: Fragment, context: Context, depth: int) -> bool:
    """Whether `node` is a name that `auto&` binds to a part of something const."""
    declared = context.project.finder.declaration_of(text_of(node), node) if node.type == "identifier" else None
    if declared is None or declared.value is None or depth == 0:
        return False
    if not declared.type_text.startswith("auto") or "&" not in declared.type_text:
        return False
    held = declared.value
    while held.type in ("call_expression", "field_expression", "pointer_expression", "subscript_expression"):
        callee = held.child_by_field_name("function")
        if held.type == "call_expression" and (callee is None or callee.type != "field_expression"):
            return False
        if callee is not None and text_of(callee.child_by_field_name("field") or callee) not in _HOLDERS:
            return False
        inner = (callee or held).child_by_field_name("argument")
        if inner is None:
            return False
        held = inner
    return context.type_of(held, fragment).const or _is_bound_to_const(held, fragment, context, depth - 1)


@rule(
    "TSA118",
    "to(), cpu() and cuda() become torch::stable::to with its arguments in the stable order.",
    examples=(
        Example(
            "at::Tensor f(at::Tensor x) { return x.to(at::kHalf); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::to(x, "
            "torch::headeronly::ScalarType::Half); }",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y, bool c) { return x.view_as(c ? x : y).type_as(c ? x : y); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y, bool c) { return "
            "torch::stable::to(torch::stable::view(x, (c ? x : y).sizes()), (c ? x : y).scalar_type(), std::nullopt, "
            "(c ? x : y).device()); }",
            "what is asked behind a dot keeps its parentheses",
        ),
        untouched(
            "struct Letter { Letter to(int) const; Letter cpu() const; };\n"
            "Letter f(const Letter& l) { return l.to(3).cpu(); }",
            "of another class",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y) { x.to(y, true, true); x.to(at::device(at::kCPU), false, true); "
            "return x.to(y.device(), true, true); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y) { "
            "torch::stable::to(x, y.scalar_type(), std::nullopt, y.device(), std::nullopt, true, true); "
            "torch::stable::to(x, std::nullopt, std::nullopt, torch::stable::Device(torch::headeronly::kCPU), std::nullopt, false, true); "
            "return torch::stable::to(x, y.device(), true, true); }",
            "whether to block and to copy comes behind pinned memory",
        ),
    ),
)
def conversions(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.to(dtype)`, `x.to(device)`, `x.to(device, dtype)`, `x.to(other)`, `x.cpu()`, `x.cuda()`."""
    call = tensor_call(site, context)
    if not isinstance(call, MethodCall):
        return call
    inside = _conversion_arguments(site, context, call)
    if inside is None:
        return context.diagnose(site, entry.rule, f"cannot tell the arguments of {site.name} apart", entry.note)
    return _call(context, call, entry, entry.stable, (*call.receiver_parts(), *inside))


def _unbraced(argument: Node) -> Node:
    """`torch::kCPU` of `{torch::kCPU}`."""
    single = argument.type == "initializer_list" and argument.named_child_count == 1
    return argument.named_children[0] if single else argument


def _conversion_arguments(site: Site, context: Context, call: MethodCall) -> tuple[Part, ...] | None:
    given = [_unbraced(argument) for argument in call.arguments]
    spans = [call.fragment.span(argument) for argument in given]
    kinds = [context.type_of(argument, call.fragment).name for argument in given]
    if not spans:
        return None
    if len(spans) == 7:  # dtype, layout, device, pinned, non_blocking, copy, format
        put = _device(given[2], kinds[2], spans[2])
        return (b", ", spans[0], b", ", spans[1], b", ", *put, *_listed(spans[3:]))
    if site.name == "type_as" or kinds[0] == "Tensor":
        like = asked(given[0], call.fragment)
        return _in_order((*like, b".scalar_type()"), (*like, b".device()"), spans[1:])
    if kinds[0] == "TensorOptions":
        from torch_stabilize.rules.options import read_options

        options = read_options(given[0], call.fragment, context)
        if options is None or options.requires_grad:
            return None
        return _in_order(options.dtype_parts(), options.device_parts(), spans[1:])
    if kinds[0] == "ScalarType":
        return _in_order((spans[0],), (b"std::nullopt",), spans[1:]) if spans[1:] else (b", ", spans[0])
    if kinds[0] in ("Device", "DeviceType"):
        put = _device(given[0], kinds[0], spans[0])
        if len(spans) > 1 and kinds[1] == "ScalarType":
            return _in_order((spans[1],), put, spans[2:])
        if len(spans) > 3:
            return _in_order((b"std::nullopt",), put, spans[1:])
        return (b", ", *put, *_listed(spans[1:]))
    return None


def _device(node: Node, kind: str, span: Span) -> tuple[Part, ...]:
    is_plain = kind == "Device" or node.type == "identifier" or "::" in text_of(node)
    return (span,) if is_plain else (b"torch::stable::Device(", span, b")")


def _listed(spans: Sequence[Span]) -> tuple[Part, ...]:
    return tuple(part for span in spans for part in (b", ", span))


def _in_order(dtype: tuple[Part, ...], device: tuple[Part, ...], rest: Sequence[Span]) -> tuple[Part, ...]:
    """dtype, layout, device, pinned, and what follows: non_blocking, copy, format."""
    pinned: tuple[Part, ...] = (b", std::nullopt",) if rest else ()
    return (b", ", *dtype, b", std::nullopt, ", *device, *pinned, *_listed(rest))
