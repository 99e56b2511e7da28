"""The function that a registration names: `&f`, `f<float>`, a cast to one overload, a lambda, `TORCH_BOX(&f)`."""

from __future__ import annotations

import re

from torch_stabilize.bindings.reading.model import FunctionRef
from torch_stabilize.model import Span
from torch_stabilize.source.brackets import closing_angle, is_one_group
from torch_stabilize.source.document import Document
from torch_stabilize.source.types import split_arguments

_WRAPPER = re.compile(
    r"(?:TORCH_BOX|TORCH_FN|TORCH_SELECTIVE_FN|(?:torch::)?wrap_pybind_function(?:_no_gil)?"
    r"|(?:(?:torch|c10)::)?CppFunction::makeFrom\w+)\s*\((?P<inside>.*)\)$",
    re.DOTALL,
)
_DISPATCH = re.compile(r"(?:(?:torch|c10)::)?dispatch\s*\((?P<inside>.*)\)$", re.DOTALL)
_CAST = re.compile(r"(?:static_cast|(?:py|pybind11)::overload_cast|reinterpret_cast)\s*<")
_C_CAST = re.compile(r"\((?P<type>[^()]*\(\s*\*\s*\)\s*\(.*?\))\)\s*(?P<rest>&?[\w:]+)$", re.DOTALL)
_NAME = re.compile(r"&?\s*(?P<name>(?:::)?[A-Za-z_][\w]*(?:\s*::\s*[A-Za-z_]\w*)*)\s*(?P<arguments><.*>)?$", re.DOTALL)
_WRAPPED = re.compile(
    r"(?P<wrapper>(?:[A-Za-z_]\w*\s*::\s*)*[A-Za-z_]\w*)\s*(?:<[^<>()]*>)?\s*\(\s*(?P<inside>&\s*[\w:]+\s*(?:<[^()]*>)?)\s*\)$"
)  # wrap(&f)
_CALLED = re.compile(r"(?<![.\w>])(?P<name>(?:[A-Za-z_]\w*\s*::\s*)*[A-Za-z_]\w*)\s*(?:<[^<>()]*>)?\s*\(")
_KEY = re.compile(
    r"(?:(?:torch|c10|at)::)?(?:DispatchKey|DeviceType)::(?P<full>\w+)|(?P<scope>(?:torch|c10|at)::)?k(?P<short>[A-Z]\w*)"
)
# What may be written as a key behind `using namespace torch;`; any other `kName` is a variable of the project.
_BARE_KEY_LIST = (
    "CPU CUDA HIP XPU XLA MPS IPU HPU VE MTIA MAIA Lazy Meta Metal Vulkan FPGA PrivateUse1 Autograd AutogradCPU "
    "AutogradCUDA AutogradOther AutocastCPU AutocastCUDA SparseCPU SparseCUDA SparseCsrCPU SparseCsrCUDA QuantizedCPU "
    "QuantizedCUDA NestedTensorCPU NestedTensorCUDA CatchAll Undefined BackendSelect Functionalize ADInplaceOrView "
    "Tracer CompositeImplicitAutograd CompositeExplicitAutograd CompositeExplicitAutogradNonFunctional"
)
_BARE_KEYS = frozenset(_BARE_KEY_LIST.split())


def dispatch_key(text: str) -> str | None:
    """`torch::kCUDA`, `c10::DispatchKey::CUDA`, `c10::DeviceType::CUDA` as "CUDA"; None for what is no key."""
    match = _KEY.fullmatch("".join(text.split()))
    if match is None or (match["short"] and not match["scope"] and match["short"] not in _BARE_KEYS):
        return None
    return match["full"] or match["short"]


def read_function(document: Document, span: Span) -> tuple[str, FunctionRef]:
    """The dispatch key that `torch::dispatch(key, fn)` carries ("" for none) and the function at `span`."""
    text = document.uncommented[span.start : span.end].decode("utf-8", "replace").strip()
    written = document.text(span).decode("utf-8", "replace").strip()
    key = ""
    inner = text
    while True:
        if match := _DISPATCH.fullmatch(inner):
            parts = split_arguments(match["inside"])
            key = dispatch_key(parts[0]) or "" if parts else ""
            inner = ", ".join(parts[1:]).strip()
        elif match := _WRAPPER.fullmatch(inner):
            inner = match["inside"].strip()
        elif _is_wrapped(inner):
            inner = inner[1:-1].strip()
        else:
            break
    return key, _reference(inner, written, span)


def _is_wrapped(text: str) -> bool:
    """Whether one pair of parentheses is around all of `text`."""
    return text.startswith("(") and text.endswith(")") and is_one_group(text)


def _reference(text: str, written: str, span: Span) -> FunctionRef:
    if text.startswith("["):
        calls = tuple(dict.fromkeys("".join(m["name"].split()) for m in _CALLED.finditer(text)))
        return FunctionRef(written, span, is_lambda=True, calls=calls)
    cast = ""
    if match := _CAST.match(text):
        close = closing_angle(text.encode(), match.end() - 1)
        cast = text.encode()[match.end() : close].decode("utf-8", "replace").strip()
        text = text.encode()[close + 1 :].decode("utf-8", "replace").strip()
        text = text[1:-1].strip() if _is_wrapped(text) else text
    elif match := _C_CAST.match(text):
        cast, text = match["type"].strip(), match["rest"].strip()
    found = _NAME.fullmatch(text)
    if found is None and (wrapped := _WRAPPED.fullmatch(text)) and (inner := _NAME.fullmatch(wrapped["inside"])):
        name = "".join(inner["name"].split()).removeprefix("::")
        wrapper = "".join(wrapped["wrapper"].split())
        return FunctionRef(written, span, name, (inner["arguments"] or "").strip(), cast, wrapper=wrapper)
    if found is None:
        return FunctionRef(written, span, cast=cast)
    name = "".join(found["name"].split()).removeprefix("::")
    return FunctionRef(written, span, name, (found["arguments"] or "").strip(), cast)
