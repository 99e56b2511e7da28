from __future__ import annotations

from torch import Tensor

from tests.sample.references.registry import reference


def _normalised(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    wide = x.double()
    return wide * (wide.square().mean(dim=-1, keepdim=True) + epsilon).rsqrt() * weight.double()


@reference("_C::rms_norm")
def rms_norm(out: Tensor, x: Tensor, weight: Tensor, epsilon: float) -> None:
    out.copy_(_normalised(x, weight, epsilon))


@reference("_C::fused_add_rms_norm")
def fused_add_rms_norm(x: Tensor, residual: Tensor, weight: Tensor, epsilon: float) -> None:
    residual.copy_(x + residual)
    x.copy_(_normalised(residual, weight, epsilon))
