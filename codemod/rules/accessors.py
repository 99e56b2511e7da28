"""Accessors of a tensor's elements, on the host and packed for device code, and their types."""

from __future__ import annotations

import re

from codemod.codes import Example
from codemod.model import Confidence, Span
from codemod.rules.context import Context, Outcome, Site, SiteKind
from codemod.rules.registry import rule
from codemod.rules.tensor_calls import MethodCall, is_tensor_method
from codemod.source.brackets import closing_angle
from codemod.source.types import split_arguments
from codemod.surface.table import Entry


@rule(
    "TSA114",
    "Accessors are built from the pointer, the sizes and the strides.",
    confidence=Confidence.REVIEW,
    text="The header-only accessor borrows the sizes and strides of the tensor and checks neither dtype nor rank.",
    examples=(
        Example(
            "void g(at::PackedTensorAccessor64<float, 1> a);\n"
            "void f(at::Tensor x) { g(x.packed_accessor64<float, 1>()); }",
            "void g(torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<float, 1, "
            "torch::headeronly::DefaultPtrTraits, int64_t> a);\n"
            "void f(torch::stable::Tensor x) { g(torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<float, 1, "
            "torch::headeronly::DefaultPtrTraits, int64_t>(x.mutable_data_ptr<float>(), x.sizes().data(), "
            "x.strides().data())); }",
        ),
        Example(
            "void g(torch::PackedTensorAccessor<float, 1, torch::DefaultPtrTraits, size_t> a);\n"
            "void f(at::Tensor x) { g(x.packed_accessor<float, 1, torch::DefaultPtrTraits, size_t>()); }",
            "void g(torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<float, 1, "
            "torch::headeronly::DefaultPtrTraits, size_t> a);\n"
            "void f(torch::stable::Tensor x) { g(torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<float, 1, "
            "torch::headeronly::DefaultPtrTraits, size_t>(x.mutable_data_ptr<float>(), x.sizes().data(), "
            "x.strides().data())); }",
            "the type of the indices stays the one that is named",
        ),
    ),
)
def accessors(site: Site, context: Context) -> Outcome | None:
    """`x.accessor<float, 2>()`, `x.packed_accessor32<float, 2, Traits>()` and their types."""
    entry = site.entry
    assert entry is not None
    if site.kind is SiteKind.NAME:
        return _accessor_type(site, context, entry)
    if not is_tensor_method(site, context):
        return None
    call = MethodCall(site, context)
    arguments = split_arguments(call.template_text()) if call.is_complete else ()
    if len(arguments) < 2:
        return context.diagnose(site, entry.rule, f"cannot follow the call of {site.name}", entry.note)
    dtype_text = arguments[0]
    if site.name != "accessor":
        traits = arguments[2] if len(arguments) > 2 else "torch::headeronly::DefaultPtrTraits"
        traits = _TRAITS.sub(r"torch::headeronly::\g<name>", traits)
        index = arguments[3] if len(arguments) > 3 else "int32_t" if site.name == "packed_accessor32" else "int64_t"
        arguments = (*arguments[:2], traits, index)
    name = f"{entry.stable}<{', '.join(arguments)}>("
    receiver = call.receiver_parts()
    member = b".mutable_data_ptr<" + dtype_text.encode() + b">(), "
    return context.rewrite(
        call.span,
        (name.encode(), *receiver, member, *receiver, b".sizes().data(), ", *receiver, b".strides().data())"),
        entry.rule,
        entry=entry,
    )


_TRAITS = re.compile(r"(?<![\w:])(?:(?:torch|at)::)?(?P<name>(?:Restrict|Default)PtrTraits)\b")


def _accessor_type(site: Site, context: Context, entry: Entry) -> Outcome:
    if entry.form == "rename":
        return context.replace(site, entry.stable, entry.rule, entry=entry)
    index = "int32_t" if site.name.endswith("32") else "int64_t"
    code = context.document.code
    opening = site.span.end
    if code[opening : opening + 1] != b"<":
        return context.diagnose(site, entry.rule, f"{site.name} without its arguments", entry.note)
    closing = closing_angle(code, opening)
    if closing < 0:
        return context.diagnose(site, entry.rule, f"{site.name} without its arguments", entry.note)
    inside = split_arguments(code[opening + 1 : closing].decode())
    name = entry.stable.partition("<")[0]
    if len(inside) > 3:  # the old PackedTensorAccessor names the type of its indices itself
        return context.replace(site, name, entry.rule, entry=entry)
    traits = "" if len(inside) > 2 else ", torch::headeronly::DefaultPtrTraits"
    end = Span(closing, closing)
    tail = context.rewrite(end, (f"{traits}, {index}".encode(),), entry.rule)
    return context.rewrite(site.span, (name.encode(),), entry.rule, entry=entry, also=(tail,))
