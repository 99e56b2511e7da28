from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference

FP8_MAX = 448.0


def _divisor(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, 1.0, scale)


def _int8(x: Tensor, scale: Tensor, zero_point: Tensor | int) -> Tensor:
    return ((x.float() / _divisor(scale)).round() + zero_point).clamp(-128, 127).to(torch.int8)


def _fp8(x: Tensor, scale: Tensor) -> Tensor:
    return (x.float() / _divisor(scale)).clamp(-FP8_MAX, FP8_MAX).to(torch.float8_e4m3fn)


@reference("_C::static_scaled_int8_quant")
def static_scaled_int8_quant(out: Tensor, x: Tensor, scale: Tensor, azp: Tensor | None) -> None:
    out.copy_(_int8(x, scale, 0 if azp is None else azp))


@reference("_C::dynamic_scaled_int8_quant")
def dynamic_scaled_int8_quant(out: Tensor, x: Tensor, scales: Tensor, azp: Tensor | None) -> None:
    low, high = x.float().aminmax(dim=-1, keepdim=True)
    if azp is None:
        scales.copy_(torch.maximum(-low, high) / 127)
    else:
        scales.copy_((high - low) / 255)
        azp.copy_((-128 - low / _divisor(scales)).round())
    out.copy_(_int8(x, scales, 0 if azp is None else azp))


@reference("_C::static_scaled_fp8_quant")
def static_scaled_fp8_quant(out: Tensor, x: Tensor, scale: Tensor, group_shape: list[int] | None = None) -> None:
    rows, columns = x.shape
    if scale.numel() > 1:
        if group_shape is not None:
            extent = [size if asked == -1 else asked for asked, size in zip(group_shape, x.shape, strict=True)]
            scale = scale.reshape(rows // extent[0], columns // extent[1])
        scale = scale.repeat_interleave(rows // scale.shape[0], 0).repeat_interleave(columns // scale.shape[1], 1)
    out.copy_(_fp8(x, scale))


@reference("_C::dynamic_scaled_fp8_quant")
def dynamic_scaled_fp8_quant(out: Tensor, x: Tensor, scale: Tensor) -> None:
    scale.fill_(x.float().abs().max().item() / FP8_MAX if x.numel() else 0.0)
    out.copy_(_fp8(x, scale))


@reference("_C::dynamic_per_token_scaled_fp8_quant")
def dynamic_per_token_scaled_fp8_quant(out: Tensor, x: Tensor, scales: Tensor, bound: Tensor | None) -> None:
    largest = x.float().abs().amax(dim=-1, keepdim=True)
    if bound is not None:
        largest = largest.minimum(bound)
    scales.copy_((largest / FP8_MAX).clamp(min=1 / (FP8_MAX * 512)))
    out.copy_(_fp8(x, scales))
