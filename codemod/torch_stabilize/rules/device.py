"""Device guards, device properties, library handles and the allocator."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Span
from torch_stabilize.rules.context import Allowed, Context, Outcome, Site, SiteKind
from torch_stabilize.rules.registry import rule
from torch_stabilize.rules.rewrite import Copy, Part
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.types import CppType

_GUARD = "torch::stable::accelerator::DeviceGuard"
_GUARDS = re.compile(r"\b(?:Optional)?(?:CUDA|HIP|Device)Guard$")
_INDEX_CASTS = re.compile(r"^\(\s*(?:char|int|int8_t|c10::DeviceIndex|at::DeviceIndex|unsigned char)\s*\)\s*")


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
    ),
)
def guard(site: Site, context: Context) -> Outcome | None:
    """`OptionalCUDAGuard guard(device_of(x))`, `CUDAGuard guard(x.device())`, `CUDAGuard guard{index}`."""
    entry = site.entry
    assert entry is not None
    if site.name.endswith("device_of") or site.kind is SiteKind.BARE:
        return _device_of(site, context)
    from torch_stabilize.rules.guards import HELPER, names_type_only, needs_helper

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


def _device_of(site: Site, context: Context) -> Outcome:
    node = context.call(site)
    walk = node
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
    compared = parent is not None and parent.type == "binary_expression"
    arguments = node.child_by_field_name("arguments") if node is not None else None
    if node is not None and compared and arguments is not None and arguments.named_child_count == 1:
        parts = (fragment.span(arguments.named_children[0]), b".device()")
        return context.rewrite(fragment.span(node), parts, "TSA401", confidence=Confidence.REVIEW)
    return context.diagnose(
        site, "TSA401", "device_of() is used outside of a guard", "use x.device() under x.is_cuda()"
    )


def _device_of_guard(site: Site, kind: Node | None, context: Context) -> Outcome:
    """`device_of(x)` that a guard is made from: the guard's own rewrite has it, or a helper asks the optional."""
    from torch_stabilize.rules.guards import needs_helper

    span = context.fragment(site).span(kind) if kind is not None else site.span
    guarded = Site(span, text_of(kind) if kind is not None else "", SiteKind.NAME)
    if needs_helper(guarded, context):
        return context.replace(site, "device_if_any", "TSA401", helpers=("device_guard",))
    return Allowed("taken apart by the guard around it")


def guard_argument(site: Site, context: Context) -> Node | None:
    """The one expression a guard is made from."""
    node = context.ancestor(site, ("declaration", "call_expression", "compound_literal_expression"), 6)
    if node is None:
        return None
    inside: Node | None
    if node.type == "declaration":
        declarator = next(iter(node.children_by_field_name("declarator")), None)
        if declarator is None:
            return None
        inside = declarator.child_by_field_name("value")
        if inside is None and declarator.type == "function_declarator":  # the grammar's reading of T name(f(x))
            parameters = declarator.child_by_field_name("parameters")
            return _as_expression(parameters, context, site)
    else:
        inside = node.child_by_field_name("arguments") or node.child_by_field_name("value")
    if inside is None:
        return None
    if inside.type not in ("argument_list", "initializer_list"):
        return inside
    given = [c for c in inside.named_children if c.type != "comment"]
    return given[0] if len(given) == 1 else None


def _as_expression(parameters: Node | None, context: Context, site: Site) -> Node | None:
    """A parenthesised expression that was read as a parameter list."""
    if parameters is None or parameters.named_child_count != 1:
        return None
    return parameters.named_children[0]


def device_index(node: Node, fragment: Fragment, context: Context) -> tuple[Part, ...] | None:
    """The index of the device that `node` represents, whatever legacy form it has."""
    if node.type == "conditional_expression":
        return _index_of_either(node, fragment, context)
    text = _INDEX_CASTS.sub("", text_of(node).strip())
    span = fragment.span(node)
    inner = _call_argument(node, "device_of")
    if inner is not None:
        return _member_of(inner, fragment, context, b"get_device_index()")
    bare = re.fullmatch(r"(?:(?:c10|at)::)?device_of\(\s*([A-Za-z_]\w*)\s*\)", text)
    if bare:
        return (f"{bare.group(1)}.get_device_index()".encode(),)
    called = re.fullmatch(r"(.+?)(\.|->)(?:device|get_device)\(\)", text, re.DOTALL)
    if called and _balanced(called.group(1)):
        receiver = _receiver_of(node)
        if receiver is not None:
            return (fragment.span(receiver), called.group(2).encode() + b"get_device_index()")
        return (f"{called.group(1)}{called.group(2)}get_device_index()".encode(),)
    made = re.match(r"(?:at|c10|torch)::Device\s*[({]", text)
    if made and node.type in ("call_expression", "compound_literal_expression"):
        arguments = node.child_by_field_name("arguments") or node.child_by_field_name("value")
        given = [c for c in arguments.named_children if c.type != "comment"] if arguments is not None else []
        return (fragment.span(given[1]),) if len(given) == 2 else None
    kind = _type_of(node, text, fragment, context)
    if kind.name == "Device":
        return (span, b".index()")
    if kind.name in ("int64_t", "int", "int32_t", "char", "int8_t", "DeviceIndex", "long", "auto") or re.fullmatch(
        r"[\w.\->]+", text
    ):
        cast = node.child_by_field_name("value") if node.type == "cast_expression" else None
        return device_index(cast, fragment, context) if cast is not None else (span,)
    return None


def _index_of_either(node: Node, fragment: Fragment, context: Context) -> tuple[Part, ...] | None:
    """`condition ? x.device() : y.device()`, with the index of each."""
    condition, *arms = (node.child_by_field_name(name) for name in ("condition", "consequence", "alternative"))
    found = [device_index(arm, fragment, context) for arm in arms if arm is not None]
    if condition is None or len(found) != 2 or found[0] is None or found[1] is None:
        return None
    return (fragment.span(condition), b" ? ", *found[0], b" : ", *found[1])


def _type_of(node: Node, text: str, fragment: Fragment, context: Context) -> CppType:
    """The type of an expression, also where the grammar took a lone name for a parameter."""
    if node.type == "parameter_declaration" and re.fullmatch(r"[A-Za-z_]\w*", text):
        return context.project.finder.type_of_name(text, node, fragment, context.document)
    return context.type_of(node, fragment)


def _balanced(text: str) -> bool:
    return text.count("(") == text.count(")") and text.count("[") == text.count("]")


def _call_argument(node: Node, name: str) -> Node | None:
    if node.type != "call_expression":
        return None
    callee = node.child_by_field_name("function")
    if callee is None or text_of(callee).rpartition("::")[2] != name:
        return None
    arguments = node.child_by_field_name("arguments")
    given = [c for c in arguments.named_children if c.type != "comment"] if arguments is not None else []
    return given[0] if len(given) == 1 else None


def _member_of(node: Node, fragment: Fragment, context: Context, member: bytes) -> tuple[Part, ...]:
    span = fragment.span(node)
    if node.type == "pointer_expression" and text_of(node).startswith("*"):
        inner = node.child_by_field_name("argument")
        if inner is not None:
            return (fragment.span(inner), b"->" + member)
    return (span, b"." + member)


def _receiver_of(node: Node) -> Node | None:
    walk: Node | None = node
    while walk is not None and walk.type == "cast_expression":
        walk = walk.child_by_field_name("value")
    callee = walk.child_by_field_name("function") if walk is not None and walk.type == "call_expression" else None
    return receiver_type_parts(callee)[0] if callee is not None and callee.type == "field_expression" else None


@rule(
    "TSA403",
    "Device properties are asked for once per device and kept.",
    text=(
        "There is no shim for cudaDeviceProp; cudaGetDeviceProperties is slow. The helper asks once per device, also when several\n"
        "threads come first."
    ),
    examples=(
        Example(
            "int f() { return at::cuda::getCurrentDeviceProperties()->major; }",
            "int f() { return get_device_prop()->major; }",
        ),
        Example(
            "bool f(int i) { return torch::cuda::is_available() && i < c10::cuda::device_count(); }",
            "bool f(int i) { return (cuda_device_count() > 0) && i < cuda_device_count(); }",
        ),
        untouched(
            "namespace own { int device_count(); bool is_available(); }\n"
            "int f() { return own::is_available() ? own::device_count() : 0; }",
            "of another namespace",
        ),
        Example(
            "int f() { c10::cuda::set_device(1); return at::cuda::warp_size(); }",
            "int f() { STD_CUDA_CHECK(cudaSetDevice(1)); return get_device_prop()->warpSize; }",
        ),
    ),
)
def properties(site: Site, context: Context) -> Outcome | None:
    """Properties, counts and the current device."""
    entry = site.entry
    assert entry is not None
    last = site.name.rpartition("::")[2]
    if last in ("getCurrentDeviceProperties", "getDeviceProperties"):
        name = context.project.helpers.name("get_device_prop")
        return context.replace(site, name, entry.rule, helpers=("get_device_prop",))
    if entry.form == "rename":
        return context.replace(site, entry.stable, entry.rule, entry=entry)
    node = context.call(site)
    if last == "warp_size" and node is not None:
        name = context.project.helpers.name("get_device_prop")
        text = f"{name}()->warpSize".encode()
        return context.rewrite(context.fragment(site).span(node), (text,), entry.rule, helpers=("get_device_prop",))
    if last in ("device_count", "getNumGPUs"):
        name = context.project.helpers.name("cuda_device_count")
        return context.replace(site, name, entry.rule, helpers=("cuda_device_count",))
    if last == "is_available" and node is not None:
        text = f"({context.project.helpers.name('cuda_device_count')}() > 0)".encode()
        return context.rewrite(context.fragment(site).span(node), (text,), entry.rule, helpers=("cuda_device_count",))
    if last in ("set_device", "SetDevice", "MaybeSetDevice"):
        return _checked(site, context, node, b"cudaSetDevice")
    return context.diagnose(
        site, entry.rule, f"{site.name} has no stable form", f"use {entry.stable} of the CUDA runtime"
    )


def _checked(site: Site, context: Context, node: Node | None, name: bytes) -> Outcome:
    if node is None:
        return context.diagnose(site, "TSA403", f"{site.name} is not called here", "")
    arguments = node.child_by_field_name("arguments")
    assert arguments is not None
    fragment = context.fragment(site)
    parts: tuple[Part, ...] = (b"STD_CUDA_CHECK(" + name, fragment.span(arguments), b")")
    return context.rewrite(fragment.span(node), parts, "TSA403", includes=("torch/csrc/stable/macros.h",))


@rule(
    "TSA404",
    "The cuBLAS handle comes from the C shim.",
    since="2.10",
    examples=(
        Example(
            "auto f() { return at::cuda::getCurrentCUDABlasHandle(); }",
            "auto f() { return get_current_cuda_blas_handle(); }",
        ),
        untouched(
            "namespace own { void* getCurrentCUDABlasHandle(); }\n"
            "void* f() { return own::getCurrentCUDABlasHandle(); }",
            "of another namespace",
        ),
    ),
)
def handles(site: Site, context: Context) -> Outcome | None:
    """`at::cuda::getCurrentCUDABlasHandle()`."""
    entry = site.entry
    assert entry is not None
    name = context.project.helpers.name("get_current_cuda_blas_handle")
    return context.replace(site, name, entry.rule, helpers=("get_current_cuda_blas_handle",))


@rule(
    "TSA405",
    "Raw memory of the caching allocator comes from the C shim.",
    since="2.10",
    confidence=Confidence.REVIEW,
    examples=(
        Example(
            "void* f(size_t n) { return c10::cuda::CUDACachingAllocator::raw_alloc(n); }",
            "void* f(size_t n) { return cuda_raw_alloc(n); }",
        ),
        untouched(
            "struct Memory { void* raw_alloc(int); void raw_delete(void*); };\n"
            "void f(Memory& m) { m.raw_delete(m.raw_alloc(3)); }",
            "of another class",
        ),
    ),
)
def allocator(site: Site, context: Context) -> Outcome | None:
    """raw_alloc and raw_delete."""
    entry = site.entry
    assert entry is not None
    last = site.name.rpartition("::")[2]
    if last in ("raw_alloc", "raw_delete"):
        name = "cuda_raw_alloc" if last == "raw_alloc" else "cuda_raw_delete"
        return context.replace(site, name, entry.rule, helpers=("cuda_raw_alloc",))
    return context.diagnose(site, entry.rule, f"{site.name} has no stable form", entry.note)


__all__ = ["Copy", "Span", "device_index"]
