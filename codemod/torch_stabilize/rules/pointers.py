"""data_ptr<T>(): const where the pointer is only read, mutable otherwise, decided by what takes the pointer."""

from __future__ import annotations

import re

from torch_stabilize.codes import Example
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site
from torch_stabilize.rules.registry import case, rule
from torch_stabilize.rules.tensor_calls import MethodCall, is_tensor_method
from torch_stabilize.source.uses import Access, Held
from torch_stabilize.surface.entry import Entry

# The stable tensor declares its typed pointers for every type, and defines them for those of AT_FORALL_SCALAR_TYPES_WITH_COMPLEX
# and the unsigned ones: a pointer to these does not link.
_NOT_DEFINED = re.compile(r"(?:[\w:]*::)?(?:q(?:u?int(?:8|32)|uint4x2|uint2x4)|bits(?:1x8|2x4|4x2|8|16))$")


@rule(
    "TSA111",
    "data_ptr<T>() becomes const_data_ptr<T>() or mutable_data_ptr<T>(), depending on whether it is written through.",
    text="A pointer that is passed to a parameter, a variable or a member of type pointer to const is const. Where it cannot\n"
    "be seen what happens to the pointer it is mutable, as it was. A pointer without a type keeps data_ptr().",
    since="2.10",
    examples=(
        Example(
            "void k(const float* in, float* out);\nvoid f(at::Tensor& a, at::Tensor& b) { k(a.data_ptr<float>(), b.data_ptr<float>()); }",
            "void k(const float* in, float* out);\nvoid f(torch::stable::Tensor& a, torch::stable::Tensor& b) "
            "{ k(a.const_data_ptr<float>(), b.mutable_data_ptr<float>()); }",
        ),
        Example(
            "void k(float* out);\nvoid f(at::Tensor& a) { k(&(a.data_ptr<float>()[2])); }",
            "void k(float* out);\nvoid f(torch::stable::Tensor& a) { k(&(a.mutable_data_ptr<float>()[2])); }",
        ),
        Example(
            "at::Tensor f(at::Tensor a) { return a.data(); }",
            "torch::stable::Tensor f(torch::stable::Tensor a) { return a; }",
            "the tensor without its gradient",
        ),
        Example(
            "#define DATA_PTR data_ptr\nfloat* f(at::Tensor& a) { return a.DATA_PTR<float>(); }",
            "#define DATA_PTR data_ptr\nfloat* f(torch::stable::Tensor& a) { return a.mutable_data_ptr<float>(); }",
            "a macro for the method's name",
        ),
        Example(
            "void f(at::Tensor& a) { auto& first = a.data_ptr<float>()[0]; first = 2; }",
            "void f(torch::stable::Tensor& a) { auto& first = a.mutable_data_ptr<float>()[0]; first = 2; }",
        ),
        Example(
            "float f(at::Tensor& a, int n) { auto p = a.data_ptr<float>(); float s = 0; while (n--) s += *p++; return s; }",
            "float f(torch::stable::Tensor& a, int n) { auto p = a.const_data_ptr<float>(); float s = 0; "
            "while (n--) s += *p++; return s; }",
        ),
        Example(
            "struct Buffer { template <class T> T* data_ptr(); };\nfloat* f(Buffer& b) { return b.data_ptr<float>(); }",
            "struct Buffer { template <class T> T* data_ptr(); };\nfloat* f(Buffer& b) { return b.data_ptr<float>(); }",
            "a class of the project",
        ),
        Example(
            "#include <vector>\nauto f(std::vector<int>& v) { return v.data(); }",
            "#include <vector>\nauto f(std::vector<int>& v) { return v.data(); }",
            "not a tensor",
        ),
    ),
)
def data_pointer(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`x.data_ptr<T>()`; `x.data_ptr()` stays."""
    if not is_tensor_method(site, context):
        return None
    if not _is_typed(site, context):
        return Allowed("data_ptr() without a type is the same on both sides")
    return _typed(site, context, entry)


@case("TSA111", "data")
def _data(site: Site, context: Context, entry: Entry) -> Outcome | None:
    if not is_tensor_method(site, context):
        return None
    return _typed(site, context, entry) if _is_typed(site, context) else _detached(site, context)


def _is_typed(site: Site, context: Context) -> bool:
    return context.document.code[site.span.end : site.span.end + 2].lstrip().startswith(b"<")


def _typed(site: Site, context: Context, entry: Entry) -> Outcome:
    call = MethodCall(site, context)
    wanted = call.template_text() if call.is_complete else ""
    bare = re.sub(r"\s*\bconst\b\s*", "", wanted)
    if _NOT_DEFINED.match(bare):
        message = f"the stable tensor has no typed pointer to {bare}"
        return context.diagnose(site, "TSA111", message, "cast the pointer without a type, if the dtype was checked")
    if re.match(r"const\b|.*\bconst$", wanted):
        opening = context.document.code.find(b"<", site.span.end)
        closing = context.document.code.find(b">", opening)
        return context.rewrite(
            Span(site.span.start, closing + 1), (f"const_data_ptr<{bare}>".encode(),), entry.rule, entry=entry
        )
    uses, document = context.project.pointer_uses, context.document
    constant = call.node is not None and uses.of_expression(call.node, call.fragment, document, Held()) is Access.READ
    name = "const_data_ptr" if constant else "mutable_data_ptr"
    return context.replace(site, name, entry.rule, entry=entry)


def _detached(site: Site, context: Context) -> Outcome | None:
    """`x.data()`, the tensor without its gradient, which stable code does not track."""
    call = MethodCall(site, context)
    if not call.is_complete or call.arguments:
        return None
    return context.rewrite(call.span, call.receiver_parts(), "TSA111", confidence=Confidence.REVIEW)
