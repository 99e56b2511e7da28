"""Methods that ask a tensor something: its dtype, its device, its sizes, one of its values."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site, SiteKind
from torch_stabilize.rules.expressions import expression_of
from torch_stabilize.rules.registry import case, page, rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.rules.signedness import size_in_bytes
from torch_stabilize.rules.tensor_calls import MethodCall, called_on, is_tensor_method, receiver_type
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.surface.entry import Entry

_DTYPES = "torch/headeronly/core/ScalarType.h"


@rule(
    "TSA112",
    "dtype() becomes scalar_type(): the stable surface has no TypeMeta.",
    text="A dtype that is printed reads `Float` where it read `float`.",
    examples=(
        Example(
            "bool f(const at::Tensor& x) { return x.dtype() == at::kInt; }",
            "bool f(const torch::stable::Tensor& x) { return x.scalar_type() == torch::headeronly::ScalarType::Int; }",
        ),
        Example(
            'void f(const at::Tensor& x) { TORCH_CHECK(false, "not for ", x.dtype().name()); }',
            'void f(const torch::stable::Tensor& x) { STD_TORCH_CHECK(false, "not for ", '
            "torch::headeronly::toString(x.scalar_type())); }",
        ),
        Example(
            "bool f(const at::Tensor& x) { return x.type().is_cuda(); }",
            "bool f(const torch::stable::Tensor& x) { return x.is_cuda(); }",
        ),
        Example(
            "std::string f(const at::Tensor& x) { auto d = x.dtype(); return std::string(d.name()); }",
            "std::string f(const torch::stable::Tensor& x) { auto d = x.scalar_type(); return "
            "std::string(torch::headeronly::toString(d)); }",
        ),
        Example(
            "#define SWITCH(TYPE, ...) \\\n  switch (at::ScalarType _st = ::detail::scalar_type(TYPE); _st) { __VA_ARGS__ }",
            "#define SWITCH(TYPE, ...) \\\n  switch (torch::headeronly::ScalarType _st = TYPE; _st) { __VA_ARGS__ }",
        ),
        untouched(
            "struct Column { int dtype() const; };\nbool f(const Column& c) { return c.dtype() == 2; }",
            "of another class",
        ),
    ),
)
def dtype(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.dtype()`, `x.type()`, and the conversions between TypeMeta and ScalarType."""
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    if call.arguments:
        return None  # TensorOptions::dtype(x)
    if call.is_complete and call.node is not None and (outer := called_on(call.node)) is not None:
        member, whole = outer
        end = Span(site.span.start, context.fragment(site).span(whole).end)
        if member == "itemsize":
            return context.rewrite(end, (b"element_size()",), entry.rule, entry=entry)
        if member in ("is_cuda", "is_cpu", "is_sparse"):
            return context.rewrite(call.span, call.asked_parts(), entry.rule)
        if member == "toScalarType" or member == "scalarType":
            return context.rewrite(end, (b"scalar_type()",), entry.rule, entry=entry)
        if member == "name":
            text = (b"torch::headeronly::toString(", *call.asked_parts(), b".scalar_type())")
            return context.rewrite(context.fragment(site).span(whole), text, entry.rule, entry=entry)
        return context.diagnose(site, entry.rule, f"{site.name}().{member}() has no stable form", entry.note)
    return context.replace(site, entry.stable, entry.rule, entry=entry)


@case("TSA112", "name", "toString")
def _name(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`dtype.name()`, or the name that a tensor was given in Python."""
    kind = receiver_type(site, context)
    if kind is None or kind.name != "ScalarType":
        is_tensor = is_tensor_method(site, context)
        return context.diagnose(site, "TSA190", f"{site.name} has no stable form", entry.note) if is_tensor else None
    call = MethodCall(site, context)
    if not call.is_complete or call.arguments:
        return None
    parts: tuple[Part, ...] = (b"torch::headeronly::toString(", *call.receiver_parts(), b")")
    return context.rewrite(call.span, parts, "TSA112", includes=(_DTYPES,), confidence=Confidence.REVIEW)


@case("TSA112", "itemsize")
def _item_size(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.itemsize()`, or that of a dtype."""
    call, kind = MethodCall(site, context), receiver_type(site, context)
    if not call.is_complete or call.arguments:
        return None
    if kind is None or kind.name != "ScalarType":
        return size_in_bytes(site, context, call, entry) if is_tensor_method(site, context) else None
    if re.search(r"(?:\.|->)\s*d?type\(\)$", text_of(call.receiver) if call.receiver is not None else ""):
        return None  # removed with the dtype() before it
    name = context.project.helpers.name("element_size")
    parts = (f"{name}(".encode(), *call.receiver_parts(), b")")
    return context.rewrite(call.span, parts, "TSA112", helpers=("element_size",))


@rule(
    "TSA116",
    "Device queries use device().type().",
    examples=(
        Example(
            "bool f(const at::Tensor& x) { return x.is_meta(); }",
            "bool f(const torch::stable::Tensor& x) { return x.device().type() == "
            "torch::headeronly::DeviceType::Meta; }",
        ),
        untouched(
            "struct Window { bool is_cuda() const; bool is_cpu() const; };\n"
            "bool f(const Window& w) { return w.is_cuda() || w.is_cpu(); }",
            "of another class",
        ),
    ),
)
def predicates(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.is_meta()` and `x.device().is_meta()`."""
    kind = receiver_type(site, context)
    if kind is None or not (kind.is_tensor or kind.name == "Device"):
        return None
    call = MethodCall(site, context)
    if not call.is_complete or call.node is None:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    text = entry.stable.replace(".device()", "") if kind.name == "Device" else entry.stable
    return expression_of(context, call, text, entry)


@case("TSA116", "is_contiguous")
def _contiguity(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`is_contiguous()`, which takes no memory format any more."""
    kind = receiver_type(site, context)
    if kind is None or not kind.is_tensor:
        return None
    call = MethodCall(site, context)
    if not call.is_complete:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    if not call.arguments:
        return Allowed("the same on both sides")
    wanted = text_of(call.arguments[0]).rpartition("::")[2]
    if wanted == "Contiguous":
        return context.rewrite(call.fragment.span(call.argument_list), (b"()",), entry.rule)  # type: ignore[arg-type]
    if wanted in ("ChannelsLast", "ChannelsLast3d"):
        dims = 4 if wanted == "ChannelsLast" else 5
        return expression_of(context, call, f"is_channels_last({{self}}, {dims})", entry)
    return context.diagnose(site, entry.rule, "is_contiguous() with a memory format has no stable form", entry.note)


page(
    "TSA110",
    "Tensor methods that exist under another name are renamed.",
    examples=(
        Example(
            "int f(const at::Tensor& x) { return x.get_device(); }",
            "int f(const torch::stable::Tensor& x) { return x.get_device_index(); }",
            "the stable get_device() is one byte wide",
        ),
        untouched(
            "struct Grid { int ndimension() const; bool is_same(const Grid&) const; };\n"
            "int f(const Grid& g) { return g.is_same(g) ? g.ndimension() : 0; }",
            "of another class",
        ),
    ),
)


@rule(
    "TSA113",
    "item<T>() reads one value through the C shim.",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            "float f(at::Tensor x) { return x.item<float>() + x.item().to<int>() + x.item().toDouble(); }",
            "float f(torch::stable::Tensor x) { return item<float>(x) + item<int>(x) + item<double>(x); }",
        ),
        untouched(
            "struct Cart { template <typename T> T item() const; };\nint f(const Cart& c) { return c.item<int>(); }",
            "of another class",
        ),
    ),
)
def item(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.item<float>()` -> `item<float>(x)` with the helper."""
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    wanted = call.template_text() if call.is_complete else ""
    span = call.span if call.is_complete else site.span
    if not wanted and call.is_complete and (read := _read_as(call)) is not None:
        wanted, span = read[0], call.fragment.span(read[1])
    if not wanted:
        return context.diagnose(
            site,
            "TSA113",
            "item() without a type gives a Scalar, which has no stable form",
            "write item<T>() with the type that is meant",
        )
    name = context.project.helpers.name("item")
    return context.rewrite(
        span, (f"{name}<{wanted}>(".encode(), *call.receiver_parts(), b")"), "TSA113", helpers=("item",)
    )


_READ_AS = {"toDouble": "double", "toFloat": "float", "toLong": "int64_t", "toInt": "int", "toBool": "bool"}


def _read_as(call: MethodCall) -> tuple[str, Node] | None:
    """The type that a Scalar is read as, `T` of `x.item().to<T>()`, with the whole expression."""
    outer = called_on(call.node) if call.node is not None else None
    if outer is None or arguments_of(outer[1]):
        return None
    callee = outer[1].child_by_field_name("function")
    member = callee.child_by_field_name("field") if callee is not None else None
    written = text_of(member).partition("<")[2].rpartition(">")[0].strip() if member is not None else ""
    wanted = written if outer[0] == "to" else _READ_AS.get(outer[0], "")
    return (wanted, outer[1]) if wanted else None


@rule(
    "TSA115",
    "Sizes of storages and elements come from the tensor or from the C shim.",
    examples=(
        Example(
            "int f(const at::Tensor& x) { return at::elementSize(x.scalar_type()); }",
            "int f(const torch::stable::Tensor& x) { return x.element_size(); }",
        ),
        untouched(
            "struct Disk { long nbytes() const; Disk storage() const; };\n"
            "long f(const Disk& d) { return d.storage().nbytes(); }",
            "of another class",
        ),
    ),
)
def sizes(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`elementSize(dtype)`, `x.storage().nbytes()`."""
    node = context.call(site)
    given = arguments_of(node) if node is not None else []
    if node is None or len(given) != 1:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    fragment = context.fragment(site)
    tensor = _tensor_of_dtype(given[0], fragment, context)
    if tensor is not None:
        return context.rewrite(fragment.span(node), (f"{tensor}.element_size()".encode(),), entry.rule)
    name = context.project.helpers.name("element_size")
    return context.rewrite(
        fragment.span(node), (f"{name}(".encode(), fragment.span(given[0]), b")"), entry.rule, helpers=("element_size",)
    )


def _tensor_of_dtype(node: Node, fragment: Fragment, context: Context) -> str | None:
    """The tensor whose dtype the expression is: `x` for `x.scalar_type()`, also through a local variable."""
    if node.type == "identifier":
        value = context.project.finder.value_of(text_of(node), node, fragment)
        return _tensor_of_dtype(value, fragment, context) if value is not None else None
    if node.type != "call_expression":
        return None
    callee = node.child_by_field_name("function")
    if callee is None or callee.type != "field_expression":
        return None
    receiver, method = receiver_type_parts(callee)
    if method not in ("scalar_type", "dtype") or receiver is None or receiver.type != "identifier":
        return None
    arrow = any(child.type == "->" for child in callee.children)
    return None if arrow else text_of(receiver)


@case("TSA115", kind=SiteKind.METHOD)
def _storage(site: Site, context: Context, entry: Entry) -> Outcome | None:
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    outer = called_on(call.node) if call.node is not None else None
    if outer is None or outer[0] not in ("nbytes", "sym_nbytes"):
        return context.diagnose(site, entry.rule, "storage() has no stable form", entry.note)
    name = context.project.helpers.name("storage_nbytes")
    return context.rewrite(
        call.fragment.span(outer[1]),
        (f"{name}(".encode(), *call.receiver_parts(), b")"),
        entry.rule,
        helpers=("storage_nbytes",),
    )
