from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference


def _unpack(words: Tensor, bits: int, dim: int) -> Tensor:
    """The codes along `dim`: all bits in a row, lowest first, cut into pieces of `bits`."""
    stream = ((words.movedim(dim, -1).long().unsqueeze(-1) >> torch.arange(32)) & 1).flatten(-2)
    codes = (stream.unflatten(-1, (-1, bits)) << torch.arange(bits)).sum(-1)
    return codes.movedim(-1, dim)


def _pack(codes: Tensor, bits: int, dim: int) -> Tensor:
    stream = ((codes.movedim(dim, -1).unsqueeze(-1) >> torch.arange(bits)) & 1).flatten(-2)
    words = (stream.unflatten(-1, (-1, 32)) << torch.arange(32)).sum(-1)
    return torch.where(words >= 1 << 31, words - (1 << 32), words).to(torch.int32).movedim(-1, dim)


@reference("_C::gptq_gemm")
def gptq_gemm(
    a: Tensor, weight: Tensor, zeros: Tensor, scales: Tensor, index: Tensor, exllama: bool, v2: bool, bits: int
) -> Tensor:
    rows = a.shape[1]
    group = torch.arange(rows) // (rows // scales.shape[0])
    if index.numel() and exllama:
        a = a[:, index.long()]  # the weight's rows are sorted by group, the input's channels are not yet
    elif index.numel():
        group = index.long()
    zero = _unpack(zeros, bits, 1) + (0 if v2 else 1)
    values = (_unpack(weight, bits, 0) - zero[group]) * scales.double()[group]
    return (a.double() @ values).to(a.dtype)


@reference("_C::gptq_shuffle")
def gptq_shuffle(weight: Tensor, order: Tensor, bits: int) -> None:
    if order.numel():
        weight.copy_(_pack(_unpack(weight, bits, 0)[order.long()], bits, 0))
