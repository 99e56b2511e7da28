from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.sample.references.registry import reference


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    first, second = x.float().chunk(2, dim=-1)
    return first, second


@reference("_C::silu_and_mul")
def silu_and_mul(out: Tensor, x: Tensor) -> None:
    gate, value = _halves(x)
    out.copy_(F.silu(gate) * value)


@reference("_C::silu_and_mul_with_clamp")
def silu_and_mul_with_clamp(out: Tensor, x: Tensor, limit: float) -> None:
    gate, value = _halves(x)
    # fmin and fmax, unlike clamp, take the number where the other is NaN: so do the C functions.
    bound = torch.tensor(limit, dtype=torch.float32)
    out.copy_(F.silu(gate.fmin(bound)) * value.fmin(bound).fmax(-bound))


@reference("_C::mul_and_silu")
def mul_and_silu(out: Tensor, x: Tensor) -> None:
    value, gate = _halves(x)
    out.copy_(value * F.silu(gate))


@reference("_C::gelu_and_mul")
def gelu_and_mul(out: Tensor, x: Tensor) -> None:
    gate, value = _halves(x)
    out.copy_(F.gelu(gate) * value)


@reference("_C::gelu_tanh_and_mul")
def gelu_tanh_and_mul(out: Tensor, x: Tensor) -> None:
    gate, value = _halves(x)
    out.copy_(F.gelu(gate, approximate="tanh") * value)


@reference("_C::fatrelu_and_mul")
def fatrelu_and_mul(out: Tensor, x: Tensor, threshold: float) -> None:
    gate, value = _halves(x)
    out.copy_(torch.where(gate > threshold, gate * value, 0.0))


@reference("_C::gelu_new")
@reference("_C::gelu_fast")
def gelu_tanh(out: Tensor, x: Tensor) -> None:
    out.copy_(F.gelu(x.float(), approximate="tanh"))


@reference("_C::gelu_quick")
def gelu_quick(out: Tensor, x: Tensor) -> None:
    out.copy_(x.float() * torch.sigmoid(1.702 * x.float()))
