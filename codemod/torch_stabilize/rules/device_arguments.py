"""The device that a guard or a stream is made for, and its index."""

from __future__ import annotations

import re

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence
from torch_stabilize.rules.context import Context, Site
from torch_stabilize.rules.registry import page
from torch_stabilize.rules.rewrite import Part
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of, receiver_type_parts
from torch_stabilize.source.types import CppType

_INDEX_CASTS = re.compile(r"^\(\s*(?:char|int|int8_t|c10::DeviceIndex|at::DeviceIndex|unsigned char)\s*\)\s*")


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
    bare = re.fullmatch(r"\*?(?:(?:c10|at|torch)::)?device_of\(\s*([A-Za-z_]\w*)\s*\)(?:\.value\(\))?", text)
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
    given = arguments_of(node)
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


page(
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


page(
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


page(
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
