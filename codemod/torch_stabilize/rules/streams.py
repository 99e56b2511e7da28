"""Streams: the current one, those of the pool, what is asked of one, and their guards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tree_sitter import Node

from torch_stabilize.codes import Example, untouched
from torch_stabilize.model import Confidence, Diagnostic, Span
from torch_stabilize.rules.context import Context, Outcome, Site, SiteKind
from torch_stabilize.rules.device_arguments import guard_argument
from torch_stabilize.rules.effects import is_repeatable
from torch_stabilize.rules.last_values import is_handed_on, is_unchanged, last_value
from torch_stabilize.rules.registry import case, rule
from torch_stabilize.rules.rewrite import Copy, Part
from torch_stabilize.rules.sites import in_legacy_branch
from torch_stabilize.rules.tensor_calls import receiver_type
from torch_stabilize.source.declarations import text_of
from torch_stabilize.source.document import Fragment
from torch_stabilize.source.scopes import arguments_of
from torch_stabilize.surface.entry import Entry


@rule(
    "TSA402",
    "The current stream comes from the C shim, as a cudaStream_t.",
    text="A stream helper of the repository is used where there is one; otherwise one is generated. The device that was asked\n"
    "for is kept; without one it is the current device, as before.",
    examples=(
        Example(
            "void f() { cudaStream_t s = at::cuda::getCurrentCUDAStream(); }",
            "void f() { cudaStream_t s = get_current_cuda_stream(); }",
        ),
        Example(
            "void f() { auto s = at::cuda::getCurrentCUDAStream().stream(); }",
            "void f() { auto s = get_current_cuda_stream(); }",
        ),
        Example(
            "void g(cudaStream_t s);\nvoid f() { auto s = at::cuda::getCurrentCUDAStream(); g(s.stream()); s.synchronize(); }",
            "void g(cudaStream_t s);\nvoid f() { auto s = get_current_cuda_stream(); g(s); "
            "STD_CUDA_CHECK(cudaStreamSynchronize(s)); }",
            "also where it is asked later",
        ),
        Example(
            "#define PREFIX\nnamespace n { cudaError_t sum(int* x, cudaStream_t s); }\n"
            "void f(int* x) { C10_CUDA_CHECK(PREFIX n::sum(x + 1, at::cuda::getCurrentCUDAStream())); }",
            "#define PREFIX\nnamespace n { cudaError_t sum(int* x, cudaStream_t s); }\n"
            "void f(int* x) { STD_CUDA_CHECK(PREFIX n::sum(x + 1, get_current_cuda_stream())); }",
            "also where the code around it cannot be parsed",
        ),
        Example(
            "void f() { auto s = at::cuda::getDefaultCUDAStream(); }",
            "void f() { auto s = cudaStream_t{}; }",
            "the null stream, on every device",
        ),
        Example(
            "void f(cudaStream_t s) { at::cuda::setCurrentCUDAStream(at::cuda::getStreamFromExternal(s, 0)); }",
            "void f(cudaStream_t s) { set_current_cuda_stream(s); }",
        ),
        untouched(
            "namespace own { struct CUDAStream { void synchronize() const; int stream() const; }; CUDAStream "
            "getCurrentCUDAStream(); }\n"
            "int f() { own::CUDAStream s = own::getCurrentCUDAStream(); s.synchronize(); return s.stream(); }",
            "of another namespace",
        ),
    ),
)
def stream(site: Site, context: Context, entry: Entry) -> Outcome | None:
    """Streams: current, from the pool, set, their types, and what is asked of them."""
    if entry.form == "rename":
        return context.replace(site, entry.stable, entry.rule, entry=entry)
    node = context.call(site)
    fragment = context.fragment(site)
    if node is None:
        return _unparsed_call(site, context, entry)
    role = {
        "get_current_cuda_stream": "get_current_cuda_stream",
        "torch_get_cuda_stream_from_pool": "get_cuda_stream_from_pool",
        "set_current_cuda_stream": "set_current_cuda_stream",
    }.get(entry.stable)
    if role is None:
        return context.diagnose(
            site, entry.rule, f"{site.name} has no stable form here", entry.note or f"use {entry.stable}"
        )
    given = arguments_of(node)
    inside: list[Part] = []
    for argument in given:
        wanted = _stream_index(argument, fragment, context)
        inside += [b", ", *wanted] if inside else [*wanted]
    name = context.project.helpers.name(role).encode()
    taken = context.project.helpers.takes.get(role, "")
    if taken == "tensor":
        tensor = _tensor_asked(node, given)
        if not tensor:
            message = f"{name.decode()} takes the tensor whose device is asked, and which it is cannot be told"
            return context.diagnose(site, entry.rule, message, f"call {name.decode()} with it")
        inside = [tensor.encode()]
    elif taken == "()" and inside:
        message = f"{site.name} is asked for a device, and {name.decode()} takes none"
        return context.diagnose(site, entry.rule, message, "let the helper take the index of the device")
    inside = inside or ([taken.encode()] if taken not in ("", "()") else [])
    return context.rewrite(fragment.span(node), (name + b"(", *inside, b")"), entry.rule, helpers=(role,))


def _tensor_asked(node: Node, given: Sequence[Node]) -> str:
    """The tensor whose device a stream is asked of: by what is given, else the one that a guard before it is for."""
    if given:
        match = _OF_TENSOR.fullmatch(text_of(given[0]))
        return match[1] if match else ""
    current: Node | None = node
    while current is not None and current.type != "function_definition":
        before = current.prev_sibling
        while before is not None:
            if before.type == "declaration" and (match := _GUARDS.search(text_of(before))):
                return match[1] or match[2]
            before = before.prev_sibling
        current = current.parent
    return ""


_OF_TENSOR = re.compile(
    r"(\w+)\s*\.\s*(?:device\s*\(\s*\)(?:\s*\.\s*index\s*\(\s*\))?|get_device(?:_index)?\s*\(\s*\))"
)
_GUARDS = re.compile(
    r"Guard\s+\w+\s*[({]\s*(?:(?:at::|c10::)?(?:cuda::)?device_of\s*\(\s*(\w+)\s*\)"
    r"|(?:\([^()]*\)\s*)?(\w+)\s*\.\s*(?:device|get_device)\s*\()"
)
_CURRENT = b"torch::stable::accelerator::getCurrentDeviceIndex()"
_OF_STREAMS = {"getStreamFromPool": 1, "getStreamFromExternal": 1, "getCurrentCUDAStream": 0, "getDefaultCUDAStream": 0}
_MOVES_DEVICE = re.compile(r"Guard\b|\bset_?[dD]evice\b|\bcudaSetDevice\b")


@case("TSA402", "CUDAStreamGuard")
def _guard(site: Site, context: Context, entry: Entry) -> Outcome:
    """`CUDAStreamGuard guard(stream)`, which also guards the device that the stream is of."""
    argument = guard_argument(site, context)
    if argument is None:
        return context.diagnose(site, entry.rule, f"{site.name} has no stable form", entry.note)
    fragment = context.fragment(site)
    index = _device_of_stream(argument, argument, fragment, context)
    if index is None:
        message = "cannot tell the device of the stream that is guarded"
        return context.diagnose(
            site, entry.rule, message, "hand CudaStreamGuard the stream and the index of its device"
        )
    place = fragment.span(argument)
    also = context.rewrite(place, (place, b", ", *index), entry.rule, includes=("torch/csrc/stable/accelerator.h",))
    extra = {"also": (also,), "confidence": Confidence.REVIEW, "helpers": ("cuda_stream_guard",)}
    return context.replace(site, "CudaStreamGuard", entry.rule, **extra)


def _device_of_stream(node: Node, use: Node, fragment: Fragment, context: Context) -> tuple[Part, ...] | None:
    """The index of the device that a stream was asked for, at `use`; None where it is not known or was another then."""
    # `CUDAStreamGuard guard(s);` reads as the declaration of a function that takes an `s`
    if node.type == "identifier" or (
        node.type == "parameter_declaration" and re.fullmatch(r"[A-Za-z_]\w*", text_of(node))
    ):
        name = text_of(node)
        value = last_value(name, node, fragment, context)
        if value is None or is_handed_on(name, value, node, fragment, context):
            return None
        return _device_of_stream(value, use, fragment, context)
    callee = node.child_by_field_name("function") if node.type == "call_expression" else None
    place = _OF_STREAMS.get(text_of(callee).rpartition("::")[2]) if callee is not None else None
    if place is None:
        return None
    given = arguments_of(node)
    source = fragment.tree.root_node.text or b""
    between = source[node.end_byte : use.start_byte].decode("utf-8", "replace")
    if len(given) <= place:
        is_moved = _MOVES_DEVICE.search(between.rpartition("Guard")[0]) is not None
        return None if is_moved else (_CURRENT,)
    if not is_repeatable(given[place], fragment, context) or not is_unchanged(given[place], use, fragment, context):
        return None
    copied = context.rewrite(
        fragment.span(given[place]), _stream_index(given[place], fragment, context), "TSA402"
    ).parts
    return tuple(Copy(part) if isinstance(part, Span) else part for part in copied)


# What a stream may be written as: its own type, and what it is where the stable helper has been asked for it.
_STREAMS = frozenset({"CUDAStream", "cudaStream_t"})


_DEVICE = re.compile(rb"\.\s*(?P<name>device)\s*\(\s*\)")


def stream_findings(context: Context) -> Iterator[tuple[Site, Diagnostic]]:
    """Streams that are asked for their device. Tensors may be, so that these calls are no sites of their own."""
    document = context.document
    if b"Stream" not in document.code or document.path not in context.project.moving:
        return
    for match in _DEVICE.finditer(document.code):
        site = Site(Span(*match.span("name")), "device", SiteKind.METHOD)
        kind = receiver_type(site, context)
        if kind is None or kind.name not in _STREAMS or in_legacy_branch(document, site.span.start):
            continue
        advice = "keep the device that the stream was asked for with"
        yield site, context.diagnose(site, "TSA402", "device() of a stream has no stable form", advice)


def _unparsed_call(site: Site, context: Context, entry: Entry) -> Outcome:
    """`getCurrentCUDAStream()` where the tree around it could not be read, as behind a macro for a namespace."""
    code = context.document.code
    called = re.compile(rb"\s*\(\s*\)(?!\s*(?:\.|->))").match(code, site.span.end)
    if entry.stable != "get_current_cuda_stream" or called is None:
        return context.diagnose(site, entry.rule, f"{site.name} is not called here", entry.note)
    name = context.project.helpers.name(entry.stable)
    return context.replace(site, name, entry.rule, helpers=(entry.stable,))


def _stream_index(argument: Node, fragment: Fragment, context: Context) -> tuple[Part, ...]:
    """The device index a stream is asked for; `x.get_device()` is renamed by its own rule."""
    text = text_of(argument)
    called = re.fullmatch(r"(.+?)(\.|->)device\(\)\s*\.\s*index\(\)", text, re.DOTALL)
    if called:
        return (f"{called.group(1)}{called.group(2)}get_device_index()".encode(),)
    return (fragment.span(argument),)
