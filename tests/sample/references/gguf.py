from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tests.sample.references.registry import reference

Unpack = Callable[[Tensor], Tensor]


def _halves(blocks: Tensor, start: int) -> Tensor:
    """The float16 at byte `start` of every block."""
    return blocks[:, start : start + 2].contiguous().view(torch.float16).float()


def _signed(data: Tensor) -> Tensor:
    return data.contiguous().view(torch.int8).float()


def _q4_0(blocks: Tensor) -> Tensor:
    codes = blocks[:, 2:].int()
    return (torch.cat([codes & 15, codes >> 4], 1) - 8) * _halves(blocks, 0)


def _q8_0(blocks: Tensor) -> Tensor:
    return _signed(blocks[:, 2:]) * _halves(blocks, 0)


def _q4_k(blocks: Tensor) -> Tensor:
    first, second, third = blocks[:, 4:16].int().split(4, dim=1)
    scales = torch.cat([first & 63, (third & 15) | (first >> 6) << 4], 1)
    minima = torch.cat([second & 63, (third >> 4) | (second >> 6) << 4], 1)
    bytes_ = blocks[:, 16:].int().reshape(-1, 4, 1, 32)
    codes = torch.cat([bytes_ & 15, bytes_ >> 4], 2).reshape(-1, 8, 32)
    scaled = (codes * scales.unsqueeze(-1)) * _halves(blocks, 0).unsqueeze(-1)
    return (scaled - (minima * _halves(blocks, 2)).unsqueeze(-1)).flatten(1)


def _q6_k(blocks: Tensor) -> Tensor:
    low = blocks[:, :128].int().reshape(-1, 2, 2, 32)
    high = blocks[:, 128:192].int().reshape(-1, 2, 1, 32)
    lower = torch.cat([low & 15, low >> 4], 2)  # quarters of 32 weights
    upper = torch.cat([high >> shift & 3 for shift in (0, 2, 4, 6)], 2)
    codes = (lower | upper << 4).reshape(-1, 16, 16) - 32
    return (codes * _signed(blocks[:, 192:208]).unsqueeze(-1) * _halves(blocks, 208).unsqueeze(-1)).flatten(1)


# type: weights and bytes of a block, and how to unpack it
FORMATS: dict[int, tuple[int, int, Unpack]] = {
    2: (32, 18, _q4_0),
    8: (32, 34, _q8_0),
    12: (256, 144, _q4_k),
    14: (256, 210, _q6_k),
}


def _weights(data: Tensor, kind: int, rows: int, columns: int) -> Tensor:
    _, size, unpack = FORMATS[kind]
    return unpack(data.reshape(-1, size)).reshape(rows, columns)


def _rounded(x: Tensor) -> Tensor:
    """Every run of 32 rounded to 8 bits."""
    runs = x.float().unflatten(1, (-1, 32))
    scale = runs.abs().amax(-1, keepdim=True) / 127
    codes = torch.where(scale == 0, 0.0, runs / scale).round()
    return (codes * scale).flatten(1)


@reference("_C::ggml_dequantize")
def ggml_dequantize(data: Tensor, kind: int, rows: int, columns: int, dtype: torch.dtype | None) -> Tensor:
    return _weights(data, kind, rows, columns).to(dtype or torch.float16)


@reference("_C::ggml_mul_mat_vec_a8", rtol=2e-2, atol=1e-3)
def ggml_mul_mat_vec_a8(data: Tensor, x: Tensor, kind: int, rows: int) -> Tensor:
    weight = _weights(data, kind, rows, x.shape[1])
    return (_rounded(x).double() @ weight.double().T).to(x.dtype)


@reference("_C::ggml_moe_get_block_size")
def ggml_moe_get_block_size(kind: int) -> int:
    return FORMATS[kind][0]
