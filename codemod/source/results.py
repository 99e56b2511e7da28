"""What calls return: methods of the types that matter here, functions of torch, functions of the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from codemod.source.document import Document
from codemod.source.function_index import FunctionIndex
from codemod.source.signatures import Function
from codemod.source.types import MAPS, UNKNOWN, CppType, parse_type


class KnownReturns(NamedTuple):
    """Return types of torch, by name and the types of the arguments: of methods, and of functions by qualified name."""

    method: Callable[[str, Sequence[CppType]], str]
    function: Callable[[str, Sequence[CppType]], str]


class FunctionResults:
    """Return types of the functions that a set of documents declares."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._functions = FunctionIndex(documents)

    def result(self, reference: str, count: int) -> CppType:
        """What a call of `reference` with `count` arguments returns; UNKNOWN where overloads differ."""
        named = [f for _, f in self._functions.named(reference.rpartition("::")[2]) if f.answers_to(reference)]
        fitting = [f for f in named if _takes(f, count)] or named
        found = {_by_value(parse_type(function.return_type)) for function in fitting}
        return found.pop() if len(found) == 1 else UNKNOWN


def _takes(function: Function, count: int) -> bool:
    required = sum(not parameter.default for parameter in function.parameters)
    return required <= count <= len(function.parameters)


def _by_value(kind: CppType) -> CppType:
    return CppType(kind.name, kind.arguments, kind.pointers, kind.const and kind.pointers > 0)


def method_result(owner: CppType, method: str, given: Sequence[CppType], returns: KnownReturns) -> CppType:
    """What `owner.method(given...)` returns."""
    if owner.is_tensor:
        return parse_type(returns.method(method, given) or "")
    if owner.name == "optional":
        return (owner.inner or UNKNOWN) if method in ("value", "value_or", "get") else CppType("bool")
    if owner.name == "TensorOptions":
        return CppType("TensorOptions") if method not in ("has_dtype", "has_device") else CppType("bool")
    if owner.name == "CUDAStream":
        return CppType("cudaStream_t") if method == "stream" else UNKNOWN
    if owner.name == "Device":
        return {"index": CppType("int64_t"), "type": CppType("DeviceType")}.get(method, CppType("bool"))
    if owner.name in MAPS:
        return owner.arguments[1] if method == "at" and len(owner.arguments) > 1 else UNKNOWN
    if owner.name in ("vector", "array", "ArrayRef", "TensorList", "IntArrayRef"):
        if method in ("at", "front", "back"):
            return owner.inner or UNKNOWN
        if method == "slice":
            return owner
        if method == "vec":
            return CppType("vector", (owner.inner,) if owner.inner else ())
        return CppType("size_t") if method == "size" else UNKNOWN
    if not owner.is_known and method in ("sizes", "strides") and not given:
        return CppType("IntArrayRef")  # nothing but a tensor has them
    return UNKNOWN
