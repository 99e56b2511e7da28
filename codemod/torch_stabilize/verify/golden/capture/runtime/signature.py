"""What makes two calls alike: a text for each call, and the single features that it has."""

from __future__ import annotations

import math
from typing import Any


def features(target: str, positional: list[Any], keywords: dict[str, Any], grad: str) -> tuple[str, ...]:
    """The features of a call, in a fixed order; joined they are its signature."""
    found = [f"{target} grad={grad}"]
    seen: dict[int, str] = {}
    for place, value in [*((str(index), value) for index, value in enumerate(positional)), *keywords.items()]:
        found += [f"{target} {place} {text}" for text in _of(value, place, seen)]
    return tuple(found)


def _of(value: dict[str, Any], place: str, seen: dict[int, str]) -> list[str]:
    kind, content = next(iter(value.items()))
    if kind == "tensor":
        return _of_tensor(content, place, seen)
    if kind in ("list", "tuple"):
        found = [f"{kind} of {min(len(content), 3)}"]
        for index, item in enumerate(content[:4]):
            found += [f".{index} {text}" for text in _of(item, f"{place}.{index}", seen)]
        return found
    if kind == "int":
        return [f"int {_integer(content)}"]
    if kind == "float":
        return [f"float {_float(float.fromhex(content))}"]
    return [f"{kind} {content}"]


def _of_tensor(tensor: dict[str, Any], place: str, seen: dict[int, str]) -> list[str]:
    sizes = ",".join(_size(size) for size in tensor["shape"])
    shared = seen.setdefault(tensor["storage"], place)
    return [
        f"{tensor['dtype']} on {tensor['device'].partition(':')[0]}",
        f"rank {len(tensor['shape'])} [{sizes}]",
        _layout(tensor["shape"], tensor["strides"]),
        "at an offset" if tensor["offset"] else "at the start",
        f"requires_grad={tensor['requires_grad']}",
        *([f"in the storage of {shared}"] if shared != place else []),
    ]


def _size(size: int) -> str:
    if size in (0, 1):
        return str(size)
    return "8n" if size % 8 == 0 else "n"


def _layout(shape: list[int], strides: list[int]) -> str:
    expected = 1
    contiguous = True
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            contiguous = False
        expected *= max(size, 1)
    if contiguous or 0 in shape:
        return "contiguous"
    real = [(stride, size) for size, stride in zip(shape, strides, strict=True) if size > 1]
    if any(stride == 0 for stride, _ in real):
        return "expanded"
    dense, expected = True, 1
    for stride, size in sorted(real):
        dense = dense and stride == expected
        expected *= size
    return "dense in another order" if dense else "with gaps"


def _integer(value: int) -> str:
    if -2 <= value <= 8:
        return str(value)
    return f"{'-' if value < 0 else ''}2^{abs(value).bit_length()}"


def _float(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if value in (0.0, 1.0):
        return str(value)
    return "negative" if value < 0 else "positive"
