from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.sample.references.registry import reference


def _normalised(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    return F.rms_norm(x.double(), x.shape[-1:], weight.double(), epsilon).to(x.dtype)


@reference("_C::minimax_allreduce_rms")
def minimax_allreduce_rms(
    x: Tensor, weight: Tensor, workspace: Tensor, rank: int, ranks: int, epsilon: float
) -> Tensor:
    return _normalised(x, weight, epsilon)


@reference("_C::minimax_allreduce_rms_qk")
def minimax_allreduce_rms_qk(
    qkv: Tensor,
    q_weight: Tensor,
    k_weight: Tensor,
    workspace: Tensor,
    q_size: int,
    kv_size: int,
    rank: int,
    ranks: int,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    q, k, _ = torch.split(qkv, [q_size, kv_size, kv_size], dim=-1)
    return _normalised(q, q_weight, epsilon), _normalised(k, k_weight, epsilon)
