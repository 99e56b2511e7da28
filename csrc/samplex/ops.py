"""Thin wrappers over the operators of the compiled library."""

import torch

import samplex._C  # noqa: F401  # registers torch.ops._C


# activation
def silu_and_mul(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.silu_and_mul(out, x)


def silu_and_mul_with_clamp(out: torch.Tensor, x: torch.Tensor, limit: float) -> None:
    torch.ops._C.silu_and_mul_with_clamp(out, x, limit)


def mul_and_silu(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.mul_and_silu(out, x)


def gelu_and_mul(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_and_mul(out, x)


def gelu_tanh_and_mul(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_tanh_and_mul(out, x)


def fatrelu_and_mul(out: torch.Tensor, x: torch.Tensor, threshold: float = 0.0) -> None:
    torch.ops._C.fatrelu_and_mul(out, x, threshold)


def gelu_new(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_new(out, x)


def gelu_fast(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_fast(out, x)


def gelu_quick(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_quick(out, x)


# layernorm
def rms_norm(out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> None:
    torch.ops._C.rms_norm(out, x, weight, epsilon)


def fused_add_rms_norm(x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, epsilon: float) -> None:
    torch.ops._C.fused_add_rms_norm(x, residual, weight, epsilon)
