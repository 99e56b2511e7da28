"""Named inputs for ops that take more for granted than shape and dtype: CPU tensors from a seeded generator.

To add one: a function `name(torch, rng, *, ...)` under `@generator`; its keyword arguments are what cases.toml gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch_stabilize.verify.golden.values import CaseError

Maker = Callable[..., Any]
GENERATORS: dict[str, Maker] = {}


def generator(make: Maker) -> Maker:
    """Let cases.toml use `make` by its name."""
    GENERATORS[make.__name__] = make
    return make


def generate(name: str, parameters: Mapping[str, Any], torch: Any, rng: Any) -> Any:
    """The tensor of generator `name`. Raises CaseError for an unknown name or wrong parameters."""
    make = GENERATORS.get(name)
    if make is None:
        raise CaseError(f"unknown generator {name!r}; known are {', '.join(sorted(GENERATORS))}")
    try:
        inspect.signature(make).bind(torch, rng, **parameters)
    except TypeError as error:
        raise CaseError(f"generator {name}: {error}") from error
    return make(torch, rng, **parameters)


@generator
def block_table(
    torch: Any, rng: Any, *, sequences: int, blocks_per_sequence: int, blocks: int, dtype: str = "int32"
) -> Any:
    """Which block of the cache holds which part of a sequence: no block is used twice while there are enough."""
    needed = sequences * blocks_per_sequence
    order = torch.cat([torch.randperm(blocks, generator=rng) for _ in range(-(-needed // blocks) or 1)])
    return order[:needed].reshape(sequences, blocks_per_sequence).to(getattr(torch, dtype))


@generator
def slot_mapping(
    torch: Any, rng: Any, *, tokens: int, blocks: int, block_size: int, padding: int = 0, dtype: str = "int64"
) -> Any:
    """A slot of the cache for each token, each slot once; the last `padding` tokens have none (-1)."""
    slots = torch.randperm(blocks * block_size, generator=rng)[:tokens]
    if len(slots) < tokens:
        raise CaseError(f"generator slot_mapping: {tokens} tokens do not fit into {blocks} blocks of {block_size}")
    if padding:
        slots[tokens - padding :] = -1
    return slots.to(getattr(torch, dtype))


@generator
def lengths(torch: Any, rng: Any, *, count: int, low: int = 1, high: int, dtype: str = "int32") -> Any:
    """Sequence lengths between `low` and `high`, both included; the first is `high`, so that the longest is there."""
    drawn = torch.randint(low, high + 1, (count,), generator=rng)
    drawn[:1] = high
    return drawn.to(getattr(torch, dtype))


@generator
def offsets(torch: Any, rng: Any, *, count: int, low: int = 0, high: int, dtype: str = "int32") -> Any:
    """Cumulated lengths with a zero in front (`cu_seqlens`): `count` + 1 numbers."""
    drawn = torch.randint(low, high + 1, (count,), generator=rng)
    return torch.cat([torch.zeros(1, dtype=torch.int64), drawn.cumsum(0)]).to(getattr(torch, dtype))


@generator
def positions(torch: Any, rng: Any, *, tokens: int, limit: int, dtype: str = "int64") -> Any:
    """A position below `limit` for each token, repetitions allowed."""
    return torch.randint(0, limit, (tokens,), generator=rng).to(getattr(torch, dtype))


@generator
def permutation(torch: Any, rng: Any, *, count: int, dtype: str = "int64") -> Any:
    """The numbers below `count` in random order."""
    return torch.randperm(count, generator=rng).to(getattr(torch, dtype))


@generator
def arange(torch: Any, rng: Any, *, start: int = 0, end: int, step: int = 1, dtype: str = "int64") -> Any:
    """Numbers from `start` up to, not including, `end`."""
    return torch.arange(start, end, step).to(getattr(torch, dtype))


@generator
def constant(torch: Any, rng: Any, *, values: Any, dtype: str) -> Any:
    """Exactly these values, nested as they stand."""
    return torch.tensor(values, dtype=torch.float64).to(getattr(torch, dtype))


@generator
def expert_ids(torch: Any, rng: Any, *, tokens: int, experts: int, top_k: int, dtype: str = "int32") -> Any:
    """`top_k` different experts for each token."""
    if top_k > experts:
        raise CaseError(f"generator expert_ids: top_k {top_k} of {experts} experts")
    rows = [torch.randperm(experts, generator=rng)[:top_k] for _ in range(tokens)]
    chosen = torch.stack(rows) if rows else torch.zeros((0, top_k), dtype=torch.int64)
    return chosen.to(getattr(torch, dtype))


@generator
def quantised_weight(torch: Any, rng: Any, *, rows: int, columns: int, bits: int = 8, dtype: str = "int8") -> Any:
    """Signed integers of `bits` bits, one to an element."""
    half = 1 << (bits - 1)
    return torch.randint(-half, half, (rows, columns), generator=rng).to(getattr(torch, dtype))


@generator
def packed_weight(torch: Any, rng: Any, *, rows: int, columns: int, bits: int = 4, along: str = "rows") -> Any:
    """Unsigned integers of `bits` bits packed into int32, the lowest first, `along` rows or columns."""
    per_word = 32 // bits
    size = rows if along == "rows" else columns
    if 32 % bits or size % per_word:
        raise CaseError(f"generator packed_weight: {size} {along} of {bits} bits do not fill words of 32 bits")
    small = torch.randint(0, 1 << bits, (rows, columns), generator=rng)
    groups = small.reshape(rows // per_word, per_word, columns) if along == "rows" else None
    if groups is None:
        groups = small.reshape(rows, columns // per_word, per_word).transpose(1, 2)
    shifts = (torch.arange(per_word) * bits).reshape(1, per_word, 1)
    words = (groups << shifts).sum(1)
    return torch.where(words >= 1 << 31, words - (1 << 32), words).to(torch.int32)


@generator
def scales(torch: Any, rng: Any, *, shape: Any, low: float = 0.01, high: float = 0.1, dtype: str = "float32") -> Any:
    """Positive factors for quantised weights."""
    drawn = torch.rand(tuple(shape), generator=rng, dtype=torch.float64) * (high - low) + low
    return drawn.to(getattr(torch, dtype))


@generator
def fp8_bytes(torch: Any, rng: Any, *, shape: Any, low: float = -4.0, high: float = 4.0) -> Any:
    """Numbers in float8_e4m3fn, none of them NaN, as the bytes that a cache holds them in."""
    drawn = torch.rand(tuple(shape), generator=rng, dtype=torch.float64) * (high - low) + low
    return drawn.to(torch.float8_e4m3fn).view(torch.uint8)


@generator
def sparse_mla_cache(torch: Any, rng: Any, *, blocks: int, block_size: int) -> Any:
    """Entries of 656 bytes: 512 numbers in float8_e4m3fn, four float32 scales for them, 64 numbers in bfloat16."""
    shape = (blocks, block_size)
    unscaled = torch.rand((*shape, 64), generator=rng).to(torch.bfloat16)
    factors = scales(torch, rng, shape=(*shape, 4))
    packed = fp8_bytes(torch, rng, shape=(*shape, 512))
    return torch.cat([packed, factors.view(torch.uint8), unscaled.view(torch.uint8)], dim=2)


@generator
def cos_sin_cache(torch: Any, rng: Any, *, positions: int, rotary: int, base: float = 10000.0, dtype: str) -> Any:
    """Cosines and sines of rotary embeddings side by side: [positions, rotary]."""
    steps = torch.arange(0, rotary, 2, dtype=torch.float64) / rotary
    angles = torch.outer(torch.arange(positions, dtype=torch.float64), base**-steps)
    return torch.cat([angles.cos(), angles.sin()], dim=1).to(getattr(torch, dtype))
