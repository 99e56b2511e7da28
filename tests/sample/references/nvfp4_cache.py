from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference

BLOCK, FP4_MAX = 16, 6.0
LEVELS = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def _codes(x: Tensor) -> Tensor:
    """The nearest level, the even one of two that are equally near; the sign above it."""
    distance = (x.abs().clamp(max=FP4_MAX).unsqueeze(-1) - LEVELS).abs()
    odd = torch.arange(len(LEVELS)) % 2
    nearest = distance == distance.amin(-1, keepdim=True)
    code = torch.where(nearest, odd, 2).argmin(-1)
    return code + 8 * (x < 0)


def _packed(x: Tensor, scale: Tensor) -> Tensor:
    """The bytes of every head: its codes, two to a byte, then its scales."""
    blocks = x.float().unflatten(-1, (-1, BLOCK))
    scales = (blocks.abs().amax(-1) / FP4_MAX / scale).clamp(max=448).to(torch.float8_e4m3fn)
    divisor = scales.float() * scale
    codes = _codes(blocks / torch.where(divisor == 0, 1.0, divisor).unsqueeze(-1)).flatten(-2)
    return torch.cat([(codes[..., ::2] | codes[..., 1::2] << 4).to(torch.uint8), scales.view(torch.uint8)], -1)


@reference("_C::reshape_and_cache_nvfp4")
def reshape_and_cache_nvfp4(
    key: Tensor,
    value: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    slots: Tensor,
    k_scale: Tensor,
    v_scale: Tensor,
) -> None:
    block_size = key_cache.shape[2]
    for x, cache, scale in ((key, key_cache, k_scale), (value, value_cache, v_scale)):
        packed = _packed(x, scale)
        for token, slot in enumerate(slots.tolist()):
            if slot >= 0:
                cache[slot // block_size, :, slot % block_size] = packed[token]
