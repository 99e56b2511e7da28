"""Variations: a captured call with one change. Tests call functions with few kinds of arguments; these are the others.

A change is data, {"kind": ..., "place": ..., "text": ...}: where it applies is decided from the call's JSON, without
torch; `apply_change` makes it in the process that calls. Integer tensors keep their content, which are indices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch_stabilize.verify.golden.capture.calls import Call

FLOATS = ("float64", "float32", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
_ALL = "*"  # every float tensor at once

Grads = dict[str, tuple[bool, bool]]


def variations(call: Call) -> Iterator[Mapping[str, Any]]:
    """Every change that can be made to `call`, in a fixed order."""
    positional = [(str(index), value) for index, value in enumerate(call.content["args"])]
    places = list(_flat([*positional, *call.content["kwargs"].items()]))
    tensors = [(place, value["tensor"]) for place, value in places if "tensor" in value]
    floats = [place for place, tensor in tensors if tensor["dtype"] in FLOATS and math.prod(tensor["shape"])]
    if len(floats) > 1:
        for kind in ("ties", "zeros and ones", "specials"):
            yield _change(kind, _ALL, f"all floats: {kind}")
    for place, tensor in tensors:
        yield from _of_tensor(place, tensor, place in floats, call.content["grad"] == "True")
    for place, value in places:
        yield from _of_plain(place, value)


def _of_tensor(place: str, tensor: Mapping[str, Any], is_float: bool, with_grad: bool) -> Iterator[Mapping[str, Any]]:
    shape = tensor["shape"]
    if is_float:
        for kind in ("ties", "zeros and ones", "specials"):
            yield _change(kind, place, f"{place}: {kind}")
    if len(shape) > 1 and all(shape):
        yield _change("transposed", place, f"{place}: transposed in memory")
        if len(shape) == 4:
            yield _change("channels last", place, f"{place}: channels last")
    if shape and all(shape):
        yield _change("gaps", place, f"{place}: with gaps")
        yield _change("offset", place, f"{place}: at an offset")
        yield _change("empty", place, f"{place}: no elements")
        yield _change("select", place, f"{place}: one rank less")
    yield _change("unsqueeze", place, f"{place}: one rank more")
    family = FLOATS if tensor["dtype"] in FLOATS else INTEGERS if tensor["dtype"] in INTEGERS else ()
    for dtype in family:
        if dtype != tensor["dtype"]:
            yield _change("dtype", place, f"{place}: as {dtype}", dtype)
    if is_float and with_grad:
        yield _change("gradient", place, f"{place}: {'without' if tensor['requires_grad'] else 'with'} gradient")
    yield _change("none", place, f"{place}: None")


def _of_plain(place: str, value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    kind, content = next(iter(value.items()))
    if kind == "bool":
        yield _change("value", place, f"{place}: {not content}", not content)
    elif kind == "int":
        for other in dict.fromkeys((content + 1, content - 1, 0, -1)):
            if other != content:
                yield _change("value", place, f"{place}: {other}", other)
    elif kind == "float":
        number = float.fromhex(content)
        for changed in dict.fromkeys((number * 2, number / 2, -number)):
            if changed != number:
                yield _change("value", place, f"{place}: {changed:g}", changed)
        yield _change("value", place, f"{place}: nan", "nan")
    elif kind == "none":
        return


def _change(kind: str, place: str, text: str, value: Any = None) -> Mapping[str, Any]:
    return {"kind": kind, "place": place, "text": text, "value": value}


def _flat(values: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for place, value in values:
        items = value.get("list", value.get("tuple"))
        if items is None:
            yield place, value
        else:
            yield from _flat((f"{place}.{index}", item) for index, item in enumerate(items[:3]))


def apply_change(
    change: Mapping[str, Any], args: list[Any], kwargs: dict[str, Any], grads: Grads, torch: Any
) -> tuple[list[Any], dict[str, Any], Grads]:
    """The arguments with `change` made. Tensors of other contents or layouts get a storage of their own."""
    kind, wanted, value = change["kind"], change["place"], change["value"]
    grads = dict(grads)
    if kind == "gradient":
        grads[wanted] = (not grads[wanted][0], True)
        return args, kwargs, grads

    def walk(item: Any, place: str) -> Any:
        if isinstance(item, (list, tuple)):
            return type(item)(walk(one, f"{place}.{index}") for index, one in enumerate(item))
        every = wanted == _ALL and isinstance(item, torch.Tensor) and item.is_floating_point()
        return _changed(item, kind, value, torch) if every or place == wanted else item

    return (
        [walk(item, str(index)) for index, item in enumerate(args)],
        {name: walk(item, name) for name, item in kwargs.items()},
        grads,
    )


def _changed(item: Any, kind: str, value: Any, torch: Any) -> Any:
    if kind == "none":
        return None
    if kind == "value":
        return math.nan if value == "nan" else value
    if kind in ("ties", "zeros and ones", "specials"):
        return _with_content(item, kind, torch)
    if kind == "dtype":
        return item.to(getattr(torch, value))
    if kind == "unsqueeze":
        return item.unsqueeze(0)
    if kind == "select":
        return item.select(0, 0)
    if kind == "empty":
        return item[:0].clone()  # without memory: what reads it all the same would read something else each time
    return _laid_out(item, kind, torch)


def _with_content(item: Any, kind: str, torch: Any) -> Any:
    rng = torch.Generator(device="cpu").manual_seed(item.numel())
    if kind == "specials":
        numbers = torch.rand(item.shape, generator=rng, dtype=torch.float64)
        for place, special in enumerate((math.nan, math.inf, -math.inf, -0.0)):
            numbers.view(-1)[place::7] = special
    else:
        values = torch.tensor([0.0, 1.0] if kind == "zeros and ones" else [-1.0, 0.5, 2.0], dtype=torch.float64)
        numbers = values[torch.randint(0, len(values), item.shape, generator=rng)]
    made = torch.empty_like(item)  # the layout of the captured one
    return made.copy_(numbers.to(item.dtype))


def _laid_out(item: Any, kind: str, torch: Any) -> Any:
    if kind == "channels last":
        return item.clone(memory_format=torch.channels_last)
    if kind == "transposed":
        order = range(item.dim() - 1, -1, -1)
        return item.permute(*order).contiguous().permute(*order)
    if kind == "gaps":
        wide = item.new_zeros((*item.shape[:-1], item.shape[-1] * 2))
        wide[..., ::2] = item
        return wide[..., ::2]
    flat = item.new_zeros(item.numel() + 1)
    flat[1:] = item.reshape(-1)
    return flat[1:].view(item.shape)
