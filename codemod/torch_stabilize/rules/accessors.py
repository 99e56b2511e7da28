"""Accessors of a tensor's elements, on the host and packed for device code, and their types."""

from __future__ import annotations

from torch_stabilize.codes import Example
from torch_stabilize.model import Span
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.registry import case, rule
from torch_stabilize.rules.tensor_calls import MethodCall, is_tensor_method
from torch_stabilize.source.brackets import closing_angle
from torch_stabilize.source.types import split_arguments
from torch_stabilize.surface.entry import Entry


@rule(
    "TSA114",
    "Accessors are made by a helper that checks the rank of the tensor.",
    text="The header-only accessor is built from the pointer, the sizes and the strides, and checks nothing by itself.",
    examples=(
        Example(
            "float f(const at::Tensor& x) { auto a = x.accessor<float, 2>(); return a[0][1]; }",
            "float f(const torch::stable::Tensor& x) { auto a = accessor_of<float, 2>(x); return a[0][1]; }",
        ),
        Example(
            "void g(at::PackedTensorAccessor64<at::Half, 1> a);\n"
            "void f(at::Tensor x) { g(x.packed_accessor64<at::Half, 1>()); }",
            "void g(torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<torch::headeronly::Half, 1, "
            "torch::headeronly::DefaultPtrTraits, int64_t> a);\n"
            "void f(torch::stable::Tensor x) { g(packed_accessor_of<torch::headeronly::Half, 1, "
            "torch::headeronly::DefaultPtrTraits, int64_t>(x)); }",
        ),
        Example(
            "void g(torch::PackedTensorAccessor<float, 1, torch::DefaultPtrTraits, size_t> a);\n"
            "void f(at::Tensor x) { g(x.packed_accessor<float, 1, torch::DefaultPtrTraits, size_t>()); }",
            "void g(torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<float, 1, "
            "torch::headeronly::DefaultPtrTraits, size_t> a);\n"
            "void f(torch::stable::Tensor x) { g(packed_accessor_of<float, 1, "
            "torch::headeronly::DefaultPtrTraits, size_t>(x)); }",
            "the type of the indices stays the one that is named",
        ),
        Example(
            "struct Grid { template <typename T, int N> T* accessor() { return nullptr; } };\n"
            "float* f(Grid g) { return g.accessor<float, 2>(); }",
            "struct Grid { template <typename T, int N> T* accessor() { return nullptr; } };\n"
            "float* f(Grid g) { return g.accessor<float, 2>(); }",
            "a method of the project's own",
        ),
    ),
)
def accessors(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.accessor<float, 2>()`, `x.packed_accessor32<float, 2, Traits>()` and their types."""
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    arguments = split_arguments(call.template_text()) if call.is_complete else ()
    if len(arguments) < 2:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    written = _written_arguments(call)
    if written is None:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    name, more = "accessor_of", ""
    if index := _index_type(entry):
        name = "packed_accessor_of"
        more = "".join([", torch::headeronly::DefaultPtrTraits", f", {index}"][len(arguments) - 2 :])
    parts = (f"{name}<".encode(), written, f"{more}>(".encode(), *call.receiver_parts(), b")")
    return context.rewrite(call.span, parts, entry.rule, helpers=("accessor",))


def _index_type(entry: Entry) -> str:
    """The type of indices, the last template argument of the stable accessor; "" where it has none."""
    return entry.stable.rpartition(", ")[2].rstrip(">") if "<" in entry.stable else ""


def _written_arguments(call: MethodCall) -> Span | None:
    """Where the template arguments stand, without their brackets."""
    member = call.callee.child_by_field_name("field") if call.callee is not None else None
    arguments = member.child_by_field_name("arguments") if member is not None else None
    if arguments is None:
        return None
    span = call.fragment.span(arguments)
    return Span(span.start + 1, span.end - 1)


@case("TSA114", kind=SiteKind.NAME)
def _accessor_type(site: Site, context: Context, entry: Entry) -> Outcome:
    if entry.form == "rename":
        return context.replace(site, entry.stable, entry.rule, entry=entry)
    code = context.document.code
    opening = site.span.end
    if code[opening : opening + 1] != b"<":
        return context.diagnose(site, entry.rule, f"{site.name} without its arguments", entry.note)
    closing = closing_angle(code, opening)
    if closing < 0:
        return context.diagnose(site, entry.rule, f"{site.name} without its arguments", entry.note)
    inside = split_arguments(code[opening + 1 : closing].decode("utf-8", "replace"))
    name = entry.stable.partition("<")[0]
    if len(inside) > 3:  # the old PackedTensorAccessor names the type of its indices itself
        return context.replace(site, name, entry.rule, entry=entry)
    traits = "" if len(inside) > 2 else ", torch::headeronly::DefaultPtrTraits"
    end = Span(closing, closing)
    tail = context.rewrite(end, (f"{traits}, {_index_type(entry)}".encode(),), entry.rule)
    return context.rewrite(site.span, (name.encode(),), entry.rule, entry=entry, also=(tail,))
