"""What the calls of torch's functions return, and methods of the types of torch that matter here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch_stabilize.source import library
from torch_stabilize.source.types import UNKNOWN, CppType, parse_type


class KnownReturns(NamedTuple):
    """Return types of torch, by name and the types of the arguments: of methods, and of functions by qualified name."""

    method: Callable[[str, Sequence[CppType]], str]
    function: Callable[[str, Sequence[CppType]], str]
    constant: Callable[[str], str] = lambda name: ""  # the type of a constant by its qualified name


# What options are asked for, and set to where there is an argument.
_OF_OPTIONS = {"dtype": "ScalarType", "device": "Device", "layout": "Layout", "pinned_memory": "bool"}


def method_result(owner: CppType, method: str, given: Sequence[CppType], returns: KnownReturns) -> CppType:
    """What `owner.method(given...)` returns, for what is no class of the project."""
    if owner.is_tensor:
        return parse_type(returns.method(method, given) or "")
    if owner.name == "optional":
        return (owner.inner or UNKNOWN) if method in ("value", "value_or", "get", "emplace") else CppType("bool")
    if owner.name == "TensorOptions":
        if method in ("has_dtype", "has_device", "has_layout"):
            return CppType("bool")
        return CppType("TensorOptions" if given else _OF_OPTIONS.get(method, "TensorOptions"))
    if owner.name == "CUDAStream":
        return CppType("cudaStream_t") if method == "stream" else UNKNOWN
    if owner.name == "Device":
        return {"index": CppType("int64_t"), "type": CppType("DeviceType")}.get(method, CppType("bool"))
    known = library.method(owner, method)
    if known is not None:
        return known
    if not owner.is_known and method in ("sizes", "strides") and not given:
        return CppType("IntArrayRef")  # nothing but a tensor has them
    return UNKNOWN
