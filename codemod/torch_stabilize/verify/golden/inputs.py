"""Values of a case as tensors and Python objects: the same bytes on every run with the same torch."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from torch_stabilize.verify.golden.cases import Case
from torch_stabilize.verify.golden.generators import generate
from torch_stabilize.verify.golden.values import GeneratedValue, ListValue, PlainValue, TensorValue, Value

_EMPTY_PATTERN = 0x5A  # is in outputs that are not read, so that what is not written compares equal


def make_arguments(case: Case, torch: Any) -> tuple[list[Any], dict[str, Any]]:
    """The positional and keyword arguments of one call; those of a captured one ask for no gradients.

    Raises CaseError for a generator that cannot be used, and LookupError for captured arguments that cannot be made.
    """
    if case.captured is not None:
        from torch_stabilize.verify.golden.capture.arguments import plain_arguments

        return plain_arguments(case.captured, torch)
    args = [_make(value, case, str(index), torch) for index, value in enumerate(case.args)]
    kwargs = {name: _make(value, case, name, torch) for name, value in case.kwargs}
    return args, kwargs


def _make(value: Value, case: Case, place: str, torch: Any) -> Any:
    if isinstance(value, PlainValue):
        return _plain(value, torch)
    if isinstance(value, ListValue):
        return [_make(item, case, f"{place}.{index}", torch) for index, item in enumerate(value.items)]
    # A seed of its own for each argument: one more argument does not change the others.
    seed = hashlib.sha256(f"{case.seed}/{place}".encode()).digest()
    rng = torch.Generator(device="cpu").manual_seed(int.from_bytes(seed[:7], "little"))
    if isinstance(value, GeneratedValue):
        return generate(value.generator, dict(value.parameters), torch, rng).to(case.device)
    return _tensor(value, rng, torch).to(case.device) if value.strides is None else _strided(value, rng, torch, case)


def _plain(value: PlainValue, torch: Any) -> Any:
    if value.kind == "scalar_type":
        return getattr(torch, value.value)
    if value.kind == "device":
        return torch.device(value.value)
    return list(value.value) if isinstance(value.value, tuple) else value.value


def _tensor(value: TensorValue, rng: Any, torch: Any) -> Any:
    if value.offset:
        count = math.prod(value.shape)
        return _flat(value, value.offset + count, rng, torch)[value.offset :].view(value.shape)
    return _flat(value, math.prod(value.shape), rng, torch).view(value.shape)


def _strided(value: TensorValue, rng: Any, torch: Any, case: Case) -> Any:
    """A view with the strides asked for of a storage that is moved whole, so that the device keeps the strides."""
    assert value.strides is not None
    last = sum((size - 1) * stride for size, stride in zip(value.shape, value.strides, strict=True))
    count = value.offset + (last + 1 if math.prod(value.shape) else 0)
    storage = _flat(value, count, rng, torch).to(case.device)
    return torch.as_strided(storage, value.shape, value.strides, value.offset)


def _flat(value: TensorValue, count: int, rng: Any, torch: Any) -> Any:
    dtype = getattr(torch, value.dtype)
    if value.fill == "empty":
        if dtype == torch.bool:
            return torch.zeros(count, dtype=dtype)
        bytes_each = torch.empty(0, dtype=dtype).element_size()
        return torch.full((count * bytes_each,), _EMPTY_PATTERN, dtype=torch.uint8).view(dtype)
    if value.fill == "nan":
        return torch.full((count,), math.nan, dtype=torch.float32).to(dtype)
    if isinstance(value.fill, float):
        return torch.full((count,), value.fill, dtype=torch.float64).to(dtype)
    if dtype == torch.bool:
        return torch.randint(0, 2, (count,), generator=rng).to(dtype)
    if not dtype.is_floating_point and not dtype.is_complex:
        low, high = math.ceil(value.low), math.floor(value.high)
        return torch.randint(low, max(low, high) + 1, (count,), generator=rng).to(dtype)
    drawn = torch.rand(count, generator=rng, dtype=torch.float64) * (value.high - value.low) + value.low
    if value.fill == "special":
        _plant_specials(drawn, dtype, torch)
    return drawn.to(dtype)


def _plant_specials(drawn: Any, dtype: Any, torch: Any) -> None:
    """Put NaN, infinities, both zeros and the extremes of `dtype` at every third place."""
    limits = torch.finfo(dtype)
    specials = [math.nan, math.inf, -math.inf, 0.0, -0.0, limits.tiny, limits.max, -limits.max, limits.tiny / 2]
    places = drawn[::3]
    repeated = torch.tensor(specials, dtype=drawn.dtype).repeat(-(-len(places) // len(specials)) or 1)
    places.copy_(repeated[: len(places)])
