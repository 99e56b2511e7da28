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


# No class of the standard library, of CUDA or of CUTLASS has these: a receiver of unknown type is taken for a tensor.
UNMISTAKABLE = frozenset({
    "data_ptr", "scalar_type", "numel", "is_contiguous", "contiguous", "element_size", "storage_offset", "dtype",
    "is_cuda", "is_cpu", "unsqueeze", "get_device", "packed_accessor32", "packed_accessor64", "index_put_", "item",
    "options", "nbytes", "itemsize", "reshape", "view_as", "reshape_as", "new_empty", "new_zeros", "zero_", "fill_",
    "copy_", "narrow", "masked_fill_", "masked_fill", "index_select", "toType", "argmax", "argmin", "argsort",
    "cumsum", "cumprod", "masked_select", "masked_scatter_", "scatter_", "scatter_add_", "index_add_", "index_fill_",
    "index_copy_", "expand_as", "bmm", "addmm", "addmm_", "topk", "softmax", "log_softmax", "is_floating_point",
    "is_sparse", "new_full", "new_ones", "new_tensor", "set_requires_grad", "requires_grad_", "unsafeGetTensorImpl",
    "add_", "sub_", "mul_", "div_", "pow_", "clamp_", "clamp_min_", "clamp_max_", "sqrt_", "exp_", "neg_", "abs_",
    "resize_", "set_", "squeeze_", "unsqueeze_", "transpose_", "t_", "uniform_", "normal_", "bernoulli_", "random_",
    "type_as", "permute", "repeat_interleave", "nonzero", "index_put", "clamp_min", "clamp_max", "is_meta",
})  # fmt: skip
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
