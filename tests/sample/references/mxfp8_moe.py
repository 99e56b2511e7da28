from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference

BLOCK = 32
FP8_MAX = 448.0


def _places(rows: int, blocks: int) -> Tensor:
    """Where the scale of each row and block stands: tiles of 128 rows by 4 blocks, the rows in four columns of 32."""
    padded = -(-rows // 128) * 128
    tiles = torch.arange(padded * blocks).reshape(padded // 128, blocks // 4, 32, 4, 4)
    return tiles.permute(0, 3, 2, 1, 4).reshape(padded, blocks)[:rows]


def _scales(stored: Tensor, rows: int, blocks: int) -> Tensor:
    return torch.exp2(stored.flatten()[_places(rows, blocks)].double() - 127)


@reference("_C::mxfp8_experts_quant")
def mxfp8_experts_quant(
    x: Tensor, sizes: Tensor, offsets: Tensor, scale_offsets: Tensor, out: Tensor, scales: Tensor
) -> None:
    blocks = x.shape[1] // BLOCK
    for (rows, _, _), first, first_scale in zip(sizes.tolist(), offsets.tolist(), scale_offsets.tolist(), strict=True):
        part = x[first : first + rows].float().unflatten(1, (blocks, BLOCK))
        largest = part.abs().amax(-1)
        exponents = torch.where(largest == 0, -127, (largest / FP8_MAX).log2().ceil())
        out[first : first + rows] = (part / torch.exp2(exponents).unsqueeze(-1)).flatten(1).to(out.dtype)
        scales.flatten()[first_scale * blocks :][_places(rows, blocks)] = (exponents + 127).to(torch.uint8)


@reference("_C::cutlass_mxfp8_grouped_mm")
def cutlass_mxfp8_grouped_mm(
    a: Tensor,
    b: Tensor,
    a_scales: Tensor,
    b_scales: Tensor,
    out: Tensor,
    sizes: Tensor,
    offsets: Tensor,
    scale_offsets: Tensor,
) -> None:
    blocks, n = a.shape[1] // BLOCK, b.shape[2]
    for expert, (rows, _, _) in enumerate(sizes.tolist()):
        first, first_scale = int(offsets[expert]), int(scale_offsets[expert])
        x = a[first : first + rows].double() * _scales(a_scales[first_scale:], rows, blocks).repeat_interleave(BLOCK, 1)
        of_expert = b_scales.reshape(len(sizes), -1)[expert]
        weight = b[expert].double().T * _scales(of_expert, n, blocks).repeat_interleave(BLOCK, 1)
        out[first : first + rows] = (x @ weight.T).to(out.dtype)
