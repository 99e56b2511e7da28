"""The arguments of a captured call, made again: the same storages, views and overlaps, on this machine's devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch_stabilize.verify.golden.capture.calls import Call
from torch_stabilize.verify.golden.capture.vary import apply_change

_UNTOUCHED = 0x5A  # bytes of a storage that no argument touches


class Made(NamedTuple):
    """Arguments as they are passed, and what gradients are taken of: the argument itself or what it was made from."""

    args: list[Any]
    kwargs: dict[str, Any]
    sources: dict[str, Any]


def make_call(call: Call, torch: Any) -> Made:
    """The arguments of `call`, changed as it says."""
    storages = [_storage(storage, call.contents, torch) for storage in call.content["storages"]]
    shifts = [storage["shift"] for storage in call.content["storages"]]
    inputs: dict[str, Any] = {}  # the tensors without gradients, by place

    def value(raw: Mapping[str, Any], place: str) -> Any:
        kind, content = next(iter(raw.items()))
        if kind == "tensor":
            made = _tensor(content, storages, shifts, torch)
            inputs[place] = (made, content)
            return made
        if kind in ("list", "tuple"):
            items = [value(item, f"{place}.{index}") for index, item in enumerate(content)]
            return items if kind == "list" else tuple(items)
        return _plain(kind, content, torch)

    args = [value(raw, str(index)) for index, raw in enumerate(call.content["args"])]
    kwargs = {name: value(raw, name) for name, raw in call.content["kwargs"].items()}
    grads = {place: (raw["requires_grad"], raw["leaf"]) for place, (_, raw) in inputs.items()}
    if call.change is not None:
        args, kwargs, grads = apply_change(call.change, args, kwargs, grads, torch)
    return _with_gradients(args, kwargs, grads, torch)


def plain_arguments(call: Call, torch: Any) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of `call` as tensors that ask for no gradients. Raises LookupError where they cannot be made."""
    try:
        made = make_call(call, torch)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise LookupError(f"its arguments cannot be made here: {error}") from error

    def plain(item: Any) -> Any:
        if isinstance(item, (list, tuple)):
            return type(item)(map(plain, item))
        return item.detach() if isinstance(item, torch.Tensor) else item

    return plain(made.args), {name: plain(item) for name, item in made.kwargs.items()}


def _with_gradients(
    args: list[Any], kwargs: dict[str, Any], grads: Mapping[str, tuple[bool, bool]], torch: Any
) -> Made:
    sources: dict[str, Any] = {}

    def put(item: Any, place: str) -> Any:
        if isinstance(item, (list, tuple)):
            return type(item)(put(one, f"{place}.{index}") for index, one in enumerate(item))
        wanted, leaf = grads.get(place, (False, True))
        if not isinstance(item, torch.Tensor) or not wanted:
            return item
        if not (item.is_floating_point() or item.is_complex()):
            return item
        if leaf:
            sources[place] = item.requires_grad_()
            return item
        # What was computed may be written in place, a leaf may not. Its memory is the captured one.
        source = item.detach().clone().requires_grad_()
        computed = source.clone()
        computed.data = item
        sources[place] = source
        return computed

    made = [put(item, str(index)) for index, item in enumerate(args)]
    named = {name: put(item, name) for name, item in kwargs.items()}
    return Made(made, named, sources)


def _storage(raw: Mapping[str, Any], contents: Mapping[str, bytes], torch: Any) -> Any:
    count, start = raw["bytes"], raw["start"]
    if "made" in raw:
        data = _numbers(raw["made"], count, torch)
    else:
        data = torch.frombuffer(bytearray(contents[raw["content"]]), dtype=torch.uint8) if count else None
    whole = torch.full((start + count + raw["behind"],), _UNTOUCHED, dtype=torch.uint8)
    if data is not None:
        whole[start : start + count] = data
    return whole.to(_device(raw["device"], torch)).untyped_storage()


def _numbers(recipe: Mapping[str, Any], count: int, torch: Any) -> Any:
    """The content of a storage from its generator, as bytes."""
    dtype = getattr(torch, recipe["dtype"])
    rng = torch.Generator(device="cpu").manual_seed(recipe["seed"])
    elements = count // torch.empty(0, dtype=dtype).element_size()
    if recipe["generator"] == "choice":
        values = torch.tensor(recipe["values"], dtype=torch.float64)
        drawn = values[torch.randint(0, len(values), (elements,), generator=rng)]
    else:
        low, high = recipe["low"], recipe["high"]
        drawn = torch.rand(elements, generator=rng, dtype=torch.float64) * (high - low) + low
    return drawn.to(dtype).view(torch.uint8)


def _tensor(raw: Mapping[str, Any], storages: list[Any], shifts: list[int], torch: Any) -> Any:
    dtype = getattr(torch, raw["dtype"])
    empty = torch.empty(0, dtype=dtype, device=_device(raw["device"], torch))
    offset = raw["offset"] - shifts[raw["storage"]] // empty.element_size()
    return empty.set_(storages[raw["storage"]], max(offset, 0), tuple(raw["shape"]), tuple(raw["strides"]))


def _device(name: str, torch: Any) -> str:
    """The device of that name, or the last of its kind where there are fewer here."""
    kind, _, index = name.partition(":")
    if kind != "cuda" or not index:
        return name
    return f"cuda:{min(int(index), max(torch.cuda.device_count() - 1, 0))}"


def _plain(kind: str, content: Any, torch: Any) -> Any:
    if kind == "none":
        return None
    if kind == "float":
        return float.fromhex(content)
    if kind == "complex":
        return complex(*map(float.fromhex, content))
    if kind == "device":
        return torch.device(_device(content, torch))
    if kind in ("dtype", "layout", "memory_format"):
        return getattr(torch, content)
    return content
