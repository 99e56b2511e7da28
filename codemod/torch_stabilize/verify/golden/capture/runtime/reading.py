"""Arguments of a call as JSON, and the bytes of their storages; nothing here calls an operator on them.

A value is {"tensor": {...}}, {"list": [...]}, {"tuple": [...]} or a plain one under its kind. What has no such form
raises `Unusable` with the reason, under which such calls are counted.
"""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

PAGE = 4096  # storages keep their offset within a page, so that alignment stays what it was


class Unusable(Exception):
    """A call that cannot be kept; the text says why, in words that are counted."""


class Touched(NamedTuple):
    """A storage: the first and the last byte that an argument touches, its device, and the dtypes it is seen with."""

    storage: Any
    start: int
    end: int
    device: str
    dtypes: frozenset[str]
    tensor: Any


class Arguments(NamedTuple):
    """The arguments of one call as JSON, and the storages that their tensors lie in."""

    positional: list[Any]
    keywords: dict[str, Any]
    storages: list[Touched]


def read_arguments(args: list[Any], kwargs: dict[str, Any], torch: Any) -> Arguments:
    """The call's arguments. Raises Unusable."""
    storages: dict[int, Touched] = {}
    positional = [_read(value, storages, torch) for value in args]
    keywords = {name: _read(value, storages, torch) for name, value in sorted(kwargs.items())}
    return Arguments(positional, keywords, list(storages.values()))


def _read(value: Any, storages: dict[int, Touched], torch: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return {"tensor": _tensor(value, storages, torch)}
    if value is None:
        return {"none": True}
    if type(value) in (bool, int, str):
        return {type(value).__name__: value}
    if type(value) is float:
        return {"float": value.hex()}
    if type(value) is complex:
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_read(item, storages, torch) for item in value]}
    for kind in ("dtype", "device", "layout", "memory_format"):
        if isinstance(value, getattr(torch, kind)):
            return {kind: str(value).removeprefix("torch.")}
    name = type(value).__name__
    raise Unusable("made for a compiler" if name.startswith("Sym") else f"an argument of the type {name}")


def _tensor(tensor: Any, storages: dict[int, Touched], torch: Any) -> dict[str, Any]:
    _check(tensor, torch)
    storage = tensor.untyped_storage()
    number = next((n for n, known in storages.items() if known.storage._cdata == storage._cdata), len(storages))
    width, shape, strides = tensor.element_size(), list(tensor.shape), list(tensor.stride())
    offset = tensor.storage_offset()
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    start, end = offset * width, (offset + last + 1) * width if all(shape) else offset * width
    dtype = str(tensor.dtype).removeprefix("torch.")
    known = storages.get(number)
    storages[number] = Touched(
        storage,
        start if known is None else min(start, known.start),
        end if known is None else max(end, known.end),
        str(tensor.device),
        frozenset([dtype]) | (frozenset() if known is None else known.dtypes),
        tensor,
    )
    return {
        "storage": number,
        "dtype": dtype,
        "shape": shape,
        "strides": strides,
        "offset": offset,
        "device": str(tensor.device),
        "requires_grad": tensor.requires_grad,
        "leaf": tensor.is_leaf,
    }


def _check(tensor: Any, torch: Any) -> None:
    """Raises Unusable for tensors that are no plain memory."""
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        raise Unusable("wrapped by functorch")
    if torch._is_functional_tensor(tensor):
        raise Unusable("made for a compiler")
    kind = type(tensor)
    if kind not in (torch.Tensor, torch.nn.Parameter):
        compiler = kind.__name__ in ("FakeTensor", "FunctionalTensor")
        raise Unusable("made for a compiler" if compiler else f"a tensor of the subclass {kind.__name__}")
    if tensor.device.type == "meta":
        raise Unusable("on the meta device")
    if tensor.layout != torch.strided:
        raise Unusable("a sparse tensor")
    if tensor.is_quantized:
        raise Unusable("a quantised tensor")
    if tensor.is_conj() or tensor.is_neg():
        raise Unusable("a conjugate or negative view")
    if tensor.device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        raise Unusable("inside the capture of a CUDA graph")


def read_bytes(touched: Touched, torch: Any) -> bytes:
    """The bytes of the storage that some argument touches."""
    count = touched.end - touched.start
    if count <= 0:
        return b""
    if touched.tensor.device.type == "cpu":
        return ctypes.string_at(touched.storage.data_ptr() + touched.start, count)
    with torch.no_grad(), plain_torch(torch):
        flat = torch.empty(0, dtype=torch.uint8, device=touched.tensor.device)
        flat.set_(touched.storage, touched.start, (count,), (1,))
        return bytes(flat.cpu().numpy().tobytes())


def plain_torch(torch: Any) -> AbstractContextManager[Any]:
    """Without the modes of the program, which must not see what is done here."""
    from torch.utils._python_dispatch import _disable_current_modes

    context: AbstractContextManager[Any] = _disable_current_modes()
    return context
