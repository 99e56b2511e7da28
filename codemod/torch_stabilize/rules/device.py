"""Device guards, device properties, library handles and the allocator."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site, SiteKind
from torch_stabilize.rules.device_arguments import device_index, guard_argument
from torch_stabilize.rules.guards import HELPER, names_type_only, needs_helper
from torch_stabilize.rules.registry import case, rule
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.surface.entry import Entry

_GUARD = "torch::stable::accelerator::DeviceGuard"
_GUARDS = re.compile(r"\b(?:Optional)?(?:CUDA|HIP|Device)Guard$")


@rule(
    "TSA401",
    "Device guards take the index of the device.",
    text="The guard keeps its place, its name and its scope. A guard that may stay empty is conditioned on is_cuda() where the\n"
    "code can run without a GPU.",
    examples=(
        Example(
            "void f(const at::Tensor& x) { const at::cuda::OptionalCUDAGuard guard(device_of(x)); }",
            "void f(const torch::stable::Tensor& x) { const torch::stable::accelerator::DeviceGuard "
            "guard(x.get_device_index()); }",
        ),
        Example(
            "void f(const at::Tensor& x) { at::cuda::CUDAGuard guard{(char)x.get_device()}; }",
            "void f(const torch::stable::Tensor& x) { torch::stable::accelerator::DeviceGuard "
            "guard{x.get_device_index()}; }",
        ),
        Example(
            "void f(const at::Tensor& x, const at::Tensor& y) { at::cuda::CUDAGuard guard(x.is_cuda() ? x.device() : "
            "y.device()); }",
            "void f(const torch::stable::Tensor& x, const torch::stable::Tensor& y) { "
            "torch::stable::accelerator::DeviceGuard guard(x.is_cuda() ? x.get_device_index() : "
            "y.get_device_index()); }",
        ),
        Example(
            "#include <optional>\nvoid f(const std::optional<at::Tensor>& x, const at::Tensor& y) "
            "{ at::cuda::OptionalCUDAGuard g(device_of(x)); at::DeviceGuard h(y.device()); }",
            "#include <optional>\nvoid f(const std::optional<torch::stable::Tensor>& x, const torch::stable::Tensor& y) "
            "{ OptionalDeviceGuard g(device_if_any(x)); OptionalDeviceGuard h(y.device()); }",
            "a guard that may be empty, and one that does nothing on the CPU",
        ),
        Example(
            "at::cuda::CUDAGuard of(const at::Tensor& x) { return at::cuda::CUDAGuard(x.device()); }\n"
            "struct Run { explicit Run(const at::Tensor& x) : guard(x.device()) {} at::cuda::OptionalCUDAGuard guard; };",
            "torch::stable::accelerator::DeviceGuard of(const torch::stable::Tensor& x) "
            "{ return torch::stable::accelerator::DeviceGuard(x.get_device_index()); }\n"
            "struct Run { explicit Run(const torch::stable::Tensor& x) : guard(x.device()) {} OptionalDeviceGuard guard; };",
            "returned, and held by a class",
        ),
        untouched(
            "namespace own { struct CUDAGuard { explicit CUDAGuard(int); void set_index(int); }; }\n"
            "void f(int i) { own::CUDAGuard guard(i); guard.set_index(0); }",
            "of another namespace",
        ),
        Example(
            "#include <optional>\n"
            "void f(const at::Tensor& x, const std::optional<at::Tensor>& y) { at::cuda::CUDAGuard g = "
            "at::cuda::CUDAGuard(x.device()); auto h = at::cuda::OptionalCUDAGuard(at::device_of(y)); }",
            "#include <optional>\n"
            "void f(const torch::stable::Tensor& x, const std::optional<torch::stable::Tensor>& y) { "
            "torch::stable::accelerator::DeviceGuard g = "
            "torch::stable::accelerator::DeviceGuard(x.get_device_index()); auto h = "
            "OptionalDeviceGuard(device_if_any(y)); }",
            "as a value, and copied from one",
        ),
        Example(
            "void f(const at::Tensor* x, at::Device d) { c10::cuda::CUDAGuard a(x->device()); "
            "c10::cuda::CUDAGuard b(d); c10::cuda::CUDAGuard c(at::Device(at::kCUDA, 1)); "
            "at::cuda::OptionalCUDAGuard e(device_of(*x)); }",
            "void f(const torch::stable::Tensor* x, torch::stable::Device d) { "
            "torch::stable::accelerator::DeviceGuard a(x->get_device_index()); "
            "torch::stable::accelerator::DeviceGuard b(d.index()); torch::stable::accelerator::DeviceGuard "
            "c(1); torch::stable::accelerator::DeviceGuard e(x->get_device_index()); }",
            "whatever the device is written as",
        ),
        Example(
            "#include <optional>\n"
            "std::optional<at::Device> f(const at::Tensor& x) { return at::device_of(x); }\n"
            "bool g(const at::Tensor& x, const at::Tensor& y) { return device_of(x) == device_of(y); }",
            "#include <optional>\n"
            "std::optional<torch::stable::Device> f(const torch::stable::Tensor& x) { return "
            "std::make_optional(x.device()); }\n"
            "bool g(const torch::stable::Tensor& x, const torch::stable::Tensor& y) { return x.device() == "
            "y.device(); }",
            "outside of a guard",
        ),
        Example(
            "void f(const at::Tensor& x) { auto d = torch::device_of(x).value(); at::Device e = *device_of(x); "
            "c10::cuda::CUDAGuard guard(device_of(x).value()); }",
            "void f(const torch::stable::Tensor& x) { auto d = x.device(); torch::stable::Device e = x.device(); "
            "torch::stable::accelerator::DeviceGuard guard(x.get_device_index()); }",
            "and asked for its value",
        ),
    ),
)
def guard(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """`OptionalCUDAGuard guard(device_of(x))`, `CUDAGuard guard(x.device())`, `CUDAGuard guard{index}`."""
    if needs_helper(site, context):
        return context.replace(site, HELPER, entry.rule, helpers=("device_guard",))
    if names_type_only(site, context):
        return context.replace(site, _GUARD, entry.rule, includes=(entry.include,))
    fragment = context.fragment(site)
    argument = guard_argument(site, context)
    if argument is None:
        return context.diagnose(site, entry.rule, f"cannot tell which device {site.name} guards", entry.note)
    index = device_index(argument, fragment, context)
    if index is None:
        return context.diagnose(site, entry.rule, f"cannot tell the index of the device {site.name} guards", entry.note)
    place = context.rewrite(fragment.span(argument), index, entry.rule)
    return context.replace(site, _GUARD, entry.rule, includes=(entry.include,), also=(place,))


@case("TSA401", "device_of")
def _device_of(site: Site, context: Context, entry: Entry) -> Outcome:
    node = context.call(site)
    # the grammar reads `Guard guard(device_of(x))` as a declaration of a function: there is no call then
    walk = node or context.fragment(site).node_at(site.span)
    while walk is not None and walk.type not in ("declaration", "compound_statement"):
        walk = walk.parent
    if walk is not None and walk.type == "declaration" and "Guard" in text_of(walk.child_by_field_name("type") or walk):
        return _device_of_guard(site, walk.child_by_field_name("type"), context)
    given_to = node.parent.parent if node is not None and node.parent is not None else None
    made = given_to.child_by_field_name("function") if given_to is not None else None
    if made is not None and _GUARDS.search(text_of(made)):
        return _device_of_guard(site, made, context)
    fragment = context.fragment(site)
    parent = node.parent if node is not None else None
    if node is not None and parent is not None and parent.type in ("init_declarator", "return_statement"):
        given = arguments_of(node)
        parts: tuple[Part, ...] = (b"std::make_optional(", fragment.span(given[0]), b".device())")
        extra: dict[str, object] = {"confidence": Confidence.REVIEW, "includes": ("optional",)}
        return context.rewrite(fragment.span(node), parts, "TSA401", **extra)
    arguments = arguments_of(node) if node is not None else []
    whole = _asked_for_value(node) if node is not None else None
    if whole is None and parent is not None and parent.type == "binary_expression":
        whole = node
    if whole is not None and len(arguments) == 1:
        parts = (fragment.span(arguments[0]), b".device()")
        return context.rewrite(fragment.span(whole), parts, "TSA401", confidence=Confidence.REVIEW)
    return context.diagnose(
        site, "TSA401", "device_of() is used outside of a guard", "use x.device() under x.is_cuda()"
    )


def _asked_for_value(node: Node) -> Node | None:
    """The whole of `device_of(x).value()` and of `*device_of(x)`, which raise where there is no device."""
    parent = node.parent
    if parent is not None and parent.type == "pointer_expression" and text_of(parent).startswith("*"):
        return parent
    if parent is None or parent.type != "field_expression":
        return None
    called = parent.parent
    is_value = text_of(parent.child_by_field_name("field") or parent) == "value"
    return called if is_value and called is not None and called.type == "call_expression" else None


def _device_of_guard(site: Site, kind: Node | None, context: Context) -> Outcome:
    """`device_of(x)` that a guard is made from: the guard's own rewrite has it, or a helper asks the optional."""
    span = context.fragment(site).span(kind) if kind is not None else site.span
    guarded = Site(span, text_of(kind) if kind is not None else "", SiteKind.NAME)
    if needs_helper(guarded, context):
        return context.replace(site, "device_if_any", "TSA401", helpers=("device_guard",))
    return Allowed("taken apart by the guard around it")
