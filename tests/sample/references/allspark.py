from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.sample.references.registry import reference

MIDDLE = 128


def _to_tiles(weight: Tensor) -> Tensor:
    """[k, n] to the order in which tiles of 16 rows and 32 columns are stored, as [n, k]."""
    k, n = weight.shape
    return weight.reshape(k // 16, 16, n // 32, 32).permute(2, 0, 3, 1).reshape(n, k)


def _from_tiles(stored: Tensor) -> Tensor:
    n, k = stored.shape
    return stored.reshape(n // 32, k // 16, 32, 16).permute(1, 3, 0, 2).reshape(k, n)


@reference("_C::rearrange_kn_weight_as_n32k16_order")
def rearrange(
    weight: Tensor,
    scales: Tensor,
    zeros: Tensor | None,
    has_zp: bool,
    weight_out: Tensor,
    scales_out: Tensor,
    zeros_out: Tensor | None,
    rows: int,
    columns: int,
    padded: int,
) -> None:
    extra = padded - columns
    weight_out.copy_(_to_tiles(F.pad(weight, (0, extra), value=MIDDLE)))
    scales_out.copy_(F.pad(scales, (0, extra)))
    if has_zp:
        assert zeros is not None
        assert zeros_out is not None
        zeros_out.copy_(F.pad(zeros, (0, extra)))


@reference("_C::allspark_w8a16_gemm")
def allspark_w8a16_gemm(
    a: Tensor, stored: Tensor, scales: Tensor, zeros: Tensor | None, n: int, group_size: int, *gpu: int | bool
) -> Tensor:
    zero = torch.tensor(float(MIDDLE)) if zeros is None else zeros.float()
    weight = (_from_tiles(stored).float() - zero) * scales.float()
    return (a.double() @ weight.double())[:, :n].to(a.dtype)
