"""Factories: `torch::empty(sizes, options)` with its options taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.factory_arguments import Made, is_of, options_at, tail_of, tensor_beside, without_format
from torch_stabilize.rules.kinds import kind_in_schemas
from torch_stabilize.rules.numbers_as_tensors import DTYPE_OF_FULL, is_list, tensor_of_numbers
from torch_stabilize.rules.options import Options, read_options
from torch_stabilize.rules.registry import case, rule
from torch_stabilize.rules.rewrite import Copy, Part
from torch_stabilize.rules.tensor_calls import MethodCall, is_tensor_method
from torch_stabilize.rules.wide_numbers import filled, full
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.surface.entry import Entry

_FILLED = {"zeros": b"0", "ones": b"1"}


@rule(
    "TSA120",
    "Factories take dtype, layout and device one by one.",
    text="`TensorOptions` is followed to where it was made, through variables, and taken apart at the factory.",
    examples=(
        Example(
            "at::Tensor f(at::Tensor x) { return torch::empty({2, 3}, torch::dtype(torch::kInt32).device(x.device())); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::empty({2, 3}, "
            "torch::headeronly::ScalarType::Int, std::nullopt, x.device()); }",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { return torch::zeros({4}, x.options()); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::new_zeros(x, {4}); }",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { return torch::zeros({4}, torch::dtype(at::kInt).device(x.device())); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::new_zeros(x, {4}, "
            "torch::headeronly::ScalarType::Int); }",
        ),
        Example(
            "at::Tensor f() { return at::empty({2}, at::CUDA(at::kByte)); }\n"
            "at::Tensor g() { return at::zeros({2}, at::kLong, std::nullopt, at::kCPU, std::nullopt); }",
            "torch::stable::Tensor f() { return torch::stable::empty({2}, torch::headeronly::ScalarType::Byte, std::nullopt, "
            "torch::stable::Device(torch::headeronly::kCUDA)); }\n"
            "torch::stable::Tensor g() { return torch::stable::full({2}, 0, torch::headeronly::ScalarType::Long, std::nullopt, "
            "torch::stable::Device(torch::headeronly::kCPU)); }",
            "options of an early torch, and given one by one",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { return torch::full_like(x, 3, x.options().dtype(at::kInt)); }\n"
            "at::Tensor g(at::Tensor x) { at::empty_like(x); at::empty_like(x, at::kInt); return at::zeros_like(x); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::fill_(stable_aten::empty_like(x, "
            "torch::headeronly::ScalarType::Int), 3); }\n"
            "torch::stable::Tensor g(torch::stable::Tensor x) { torch::stable::empty_like(x); stable_aten::empty_like(x, "
            "torch::headeronly::ScalarType::Int); return torch::stable::fill_(torch::stable::empty_like(x), 0); }",
            "the strides stay those of `x`",
        ),
        Example(
            "void f(std::vector<double> v, std::vector<int64_t> w) { at::tensor(v); at::tensor({1, 2}); at::tensor(w); "
            "at::tensor(v, at::kFloat); torch::tensor(v); }",
            "void f(std::vector<double> v, std::vector<int64_t> w) { at::tensor(v); at::tensor({1, 2}); "
            "tensor_of<int64_t>(w); tensor_of<double>(v, torch::headeronly::ScalarType::Float); "
            "tensor_of<double>(v, torch::stable::empty({0}).scalar_type()); }",
            "at::tensor gives numbers the dtype of their C++ type: reported where torch::tensor gives another",
        ),
        Example(
            "at::Tensor f(std::optional<at::Device> d) { return at::empty({2}, at::TensorOptions().device(d)); }",
            "torch::stable::Tensor f(std::optional<torch::stable::Device> d) "
            "{ return torch::stable::empty({2}, std::nullopt, std::nullopt, d); }",
            "a device that may be none",
        ),
        Example(
            "void f(bool b, int64_t n) { at::full({2}, b); at::full({2}, n > 0); at::full({2}, n); at::full({2}, 2LL); "
            "at::full({2}, 1.5f); at::scalar_tensor(3); torch::tensor(3); torch::tensor(n > 1); torch::tensor(2.5); }",
            "void f(bool b, int64_t n) { torch::stable::full({2}, b, torch::headeronly::ScalarType::Bool); "
            "torch::stable::full({2}, n > 0, torch::headeronly::ScalarType::Bool); "
            "stable_aten::fill_(torch::stable::empty({2}, torch::headeronly::ScalarType::Long), n); "
            "torch::stable::full({2}, 2LL, torch::headeronly::ScalarType::Long); "
            "torch::stable::full({2}, 1.5f); "
            "torch::stable::full({}, 3); "
            "torch::stable::full({}, 3, torch::headeronly::ScalarType::Long); "
            "torch::stable::full({}, n > 1, torch::headeronly::ScalarType::Bool); "
            "torch::stable::full({}, 2.5); }",
            "the dtype that each number has in torch, where it is not the default dtype; integers of 64 bits, which a double does not hold, are stored as they are",
        ),
        Example(
            "void f(at::Tensor x, int64_t n) { at::full({2}, n, at::kInt); at::full_like(x, n); x.new_full({2}, n); x[0] = n; "
            "x.index_put_({0}, n); n - x; x[0] = -INFINITY; at::full({2}, std::numeric_limits<float>::max()); }",
            "void f(torch::stable::Tensor x, int64_t n) { torch::stable::full({2}, n, torch::headeronly::ScalarType::Int); "
            "stable_aten::fill_(torch::stable::empty_like(x), n); "
            "stable_aten::fill_(torch::stable::empty({2}, x.scalar_type(), std::nullopt, x.device()), n); "
            "stable_aten::fill_(torch::stable::select(x, 0, 0), n); stable_aten::fill_(torch::stable::select(x, 0, 0), n); "
            "stable_aten::sub_(stable_aten::fill_(torch::stable::empty_like(x), n), x); "
            "torch::stable::fill_(torch::stable::select(x, 0, 0), -INFINITY); "
            "torch::stable::full({2}, std::numeric_limits<float>::max()); }",
            "where the dtype holds no wide integer, or the number is none, the double will do",
        ),
        Example(
            "at::Tensor f(at::Tensor x, at::Tensor y) { return at::zeros_like(y, x.options(), at::MemoryFormat::Contiguous); }",
            "torch::stable::Tensor f(torch::stable::Tensor x, torch::stable::Tensor y) "
            "{ return torch::stable::fill_(torch::stable::new_empty(y, y.sizes(), x.scalar_type(), std::nullopt, x.device()), 0); }",
        ),
        Example(
            "#include <vector>\nat::Tensor f(std::vector<double> v) { return torch::tensor(v); }\n"
            "at::Tensor g(at::Tensor x) { return torch::tensor({1, 0}, x.device()); }",
            "#include <vector>\ntorch::stable::Tensor f(std::vector<double> v) "
            "{ return tensor_of<double>(v, torch::stable::empty({0}).scalar_type()); }\n"
            "torch::stable::Tensor g(torch::stable::Tensor x) "
            "{ return tensor_of<int64_t>({1, 0}, torch::headeronly::ScalarType::Long, std::nullopt, x.device()); }",
            "numbers of a list are Long or of the default dtype, as torch has it",
        ),
        Example(
            "at::Tensor f(at::Tensor x) { return torch::empty({4}, x.options().requires_grad(true)); }",
            "torch::stable::Tensor f(torch::stable::Tensor x) "
            "{ return torch::stable::new_empty(x, {4}).set_requires_grad(true); }",
        ),
        untouched(
            "struct Pool { int* empty(int) const; int* zeros(int) const; };\n"
            "int* f(const Pool& p) { return p.zeros(2) ? p.empty(3) : nullptr; }",
            "of another class",
        ),
    ),
)
def factories(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`torch::empty(...)` and its kin, `x.new_empty(...)` and its kin."""
    node = context.call(site)
    if node is None:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    fragment = context.fragment(site)
    given = arguments_of(node)
    name = site.name.rpartition("::")[2]
    given, dense = without_format(given, fragment, context)
    maker = _MAKERS.get(name) if dense is not None else None
    if dense and name.endswith("_like"):
        maker = _dense_like
    made = maker(name, node, given, fragment, context) if maker is not None else None
    if made is None:
        return context.diagnose(site, entry.rule, f"cannot take the arguments of {site.name} apart", entry.note)
    parts, helpers = made
    wanted = read_options(given[-1], fragment, context) if given else None
    if wanted is not None and wanted.requires_grad:
        parts = (*parts, b".set_requires_grad(", *wanted.requires_grad, b")")
    sure = name in ("empty", "empty_like", "zeros", "full", "from_blob")
    confidence = Confidence.SAFE if sure else Confidence.REVIEW
    extra = {"includes": (entry.include,), "confidence": confidence, "helpers": helpers}
    return context.rewrite(fragment.span(node), parts, entry.rule, **extra)


def _dense_like(name: str, node: Node, given: list[Node], fragment: Fragment, context: Context) -> Made | None:
    """`empty_like(x, options, MemoryFormat::Contiguous)` and its kin: a new tensor of the sizes of `x`."""
    place = 2 if name == "full_like" else 1
    options = options_at(given, place, fragment, context, node) if len(given) >= place else None
    if options is None:
        return None
    tensor = fragment.span(given[0])
    tail = () if options.only_like and text_of(given[place]).startswith(f"{text_of(given[0])}.") else tail_of(options)
    made: tuple[Part, ...] = (b"torch::stable::new_empty(", tensor, b", ", Copy(tensor), b".sizes()", *tail, b")")
    if name == "empty_like":
        return (made, ())
    if name == "full_like":
        return filled(made, given[1], fragment, context, options.dtype)
    return ((b"torch::stable::fill_(", *made, b", ", _FILLED[name.removesuffix("_like")], b")"), ())


def _empty(name: str, node: Node, given: list[Node], fragment: Fragment, context: Context) -> Made | None:
    options = options_at(given, 1, fragment, context, node) if given else None
    if options is None:
        return None
    sizes = fragment.span(given[0])
    if options.only_like:
        return ((b"torch::stable::new_empty(", *options.like, b", ", sizes, b")"), ())
    return ((b"torch::stable::empty(", sizes, *tail_of(options), b")"), ())


def _filled(name: str, node: Node, given: list[Node], fragment: Fragment, context: Context) -> Made | None:
    options = options_at(given, 1, fragment, context, node) if given else None
    if options is None:
        return None
    sizes = fragment.span(given[0])
    beside = tensor_beside(options, node, fragment, context) if name == "zeros" else None
    if beside is not None:
        tensor, dtype = beside
        return ((b"torch::stable::new_zeros(", *tensor, b", ", sizes, *((b", ", *dtype) if dtype else ()), b")"), ())
    return ((b"torch::stable::full(", sizes, b", ", _FILLED[name], *tail_of(options), b")"), ())


def _full(name: str, node: Node, given: list[Node], fragment: Fragment, context: Context) -> Made | None:
    options = options_at(given, 2, fragment, context, node) if len(given) >= 2 else None
    if options is None:
        return None
    default = DTYPE_OF_FULL.get(kind_in_schemas(given[1], context.type_of(given[1], fragment)))
    if default is None and not (options.dtype or options.like):
        return None
    default = default or b""
    options = options.filled_in((default,) if default else ())
    return full(fragment.span(given[0]), given[1], tail_of(options, always_dtype=default), fragment, context)


def _like(name: str, node: Node, given: list[Node], fragment: Fragment, context: Context) -> Made | None:
    """`empty_like(x)` and its kin keep the strides of `x`, also where its dtype changes."""
    place = 2 if name == "full_like" else 1
    if len(given) < place:
        return None
    tensor = fragment.span(given[0])
    options = options_at(given, place, fragment, context, node)
    if options is None:
        return None
    if is_of(tensor, options, context):
        options = replace(options, like=())
    tail = tail_of(options)
    maker, helpers = (
        (b"stable_aten::empty_like(", ("aten:empty_like",)) if tail else (b"torch::stable::empty_like(", ())
    )
    blank: tuple[Part, ...] = (maker, tensor, *tail, b")")
    if name == "empty_like":
        return (blank, helpers)
    if name != "full_like":
        return ((b"torch::stable::fill_(", *blank, b", ", _FILLED[name.removesuffix("_like")], b")"), helpers)
    parts, more = filled(blank, given[1], fragment, context, options.dtype)
    return (parts, (*helpers, *more))


def _from_blob(name: str, node: Node, given: list[Node], fragment: Fragment, context: Context) -> Made | None:
    if len(given) < 2:
        return None
    rest = given[2:]
    strides = rest.pop(0) if rest and is_list(rest[0], fragment, context) else None
    deleter = rest.pop(0) if rest and _is_callable(rest[0], fragment, context) else None
    options = read_options(rest[0], fragment, context) if rest else Options()
    if options is None or len(rest) > 1 or not (options.dtype or options.like):
        return None
    device: tuple[Part, ...] = options.device_parts()
    if device == (b"std::nullopt",):
        device = (b"torch::stable::Device(torch::headeronly::kCPU)",)
    sizes = fragment.span(given[1])
    helpers: tuple[str, ...] = ()
    steps: tuple[Part, ...]
    if strides is not None:
        steps = (fragment.span(strides),)
    else:
        helpers = ("contiguous_strides",)
        steps = (context.project.helpers.name("contiguous_strides").encode() + b"(", sizes, b")")
    parts: tuple[Part, ...] = (
        b"torch::stable::from_blob(",
        fragment.span(given[0]),
        b", ",
        sizes,
        b", ",
        *steps,
        b", ",
        *device,
        b", ",
        *options.dtype_parts(),
    )
    if deleter is not None:
        parts = (*parts, b", ", fragment.span(deleter))
    return ((*parts, b")"), helpers)


def _is_callable(node: Node, fragment: Fragment, context: Context) -> bool:
    if node.type == "identifier":
        value = context.project.finder.value_of(text_of(node), node, fragment)
        return value is not None and value.type == "lambda_expression"
    return node.type == "lambda_expression"


_MAKERS = {
    "empty": _empty, "zeros": _filled, "ones": _filled, "full": _full, "empty_like": _like, "zeros_like": _like,
    "ones_like": _like, "full_like": _like, "from_blob": _from_blob, "tensor": tensor_of_numbers, "scalar_tensor": tensor_of_numbers,
}  # fmt: skip


@case("TSA120", "new_empty", "new_zeros", kind=SiteKind.METHOD)
def _new(site: Site, context: Context, entry: Entry) -> Outcome | None:
    found = _taken_apart(site, context, entry, 1)
    if not isinstance(found, _New):
        return found
    call, options, spans = found
    parts: tuple[Part, ...] = (
        entry.stable.encode() + b"(", *call.receiver_parts(), b", ", spans[0], *tail_of(options), b")"
    )  # fmt: skip
    return context.rewrite(call.span, parts, entry.rule, entry=entry)


@case("TSA120", "new_full", kind=SiteKind.METHOD)
def _new_full(site: Site, context: Context, entry: Entry) -> Outcome | None:
    found = _taken_apart(site, context, entry, 2)
    if not isinstance(found, _New):
        return found
    call, _, spans = found
    parts, helpers = full(spans[0], call.arguments[1], found.tail(), call.fragment, context)
    return context.rewrite(call.span, parts, entry.rule, entry=entry, helpers=helpers)


@case("TSA120", kind=SiteKind.METHOD)
def _new_ones(site: Site, context: Context, entry: Entry) -> Outcome | None:
    found = _taken_apart(site, context, entry, 1)
    if not isinstance(found, _New):
        return found
    parts = (b"torch::stable::full(", found.spans[0], b", 1", *found.tail(), b")")
    return context.rewrite(found.call.span, parts, entry.rule, entry=entry)


class _New(NamedTuple):
    """A call like `x.new_full(size, value, options)`: its options, and the arguments in front of them."""

    call: MethodCall
    options: Options
    spans: Sequence[Span]

    def tail(self) -> tuple[Part, ...]:
        """dtype, layout and device as arguments: those of the receiver where no option gives them."""
        receiver = self.call.asked_parts()
        own_dtype, own_device = (*receiver, b".scalar_type()"), (*receiver, b".device()")
        options = self.options.filled_in(own_dtype, own_device)
        return (b", ", *(options.dtype or own_dtype), b", std::nullopt, ", *(options.device or own_device))


def _taken_apart(site: Site, context: Context, entry: Entry, place: int) -> _New | Outcome | None:
    """The call with its options, which are the argument number `place`; None where it is not a tensor's."""
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    options = None
    if call.is_complete and call.node is not None and len(call.arguments) >= place:
        options = options_at(list(call.arguments), place, call.fragment, context, call.node)
    if options is None:
        return context.diagnose(site, entry.rule, f"cannot take the arguments of {site.name} apart", entry.note)
    return _New(call, options, [call.fragment.span(argument) for argument in call.arguments[:place]])
