from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference

ORDER = [0, 4, 1, 5, 2, 6, 3, 7]  # which four bits of a word hold which of its columns


def _unpack(words: Tensor) -> Tensor:
    shifts = torch.tensor(ORDER) * 4
    return ((words.long().unsqueeze(-1) >> shifts) & 0xF).flatten(-2)


def _weight(words: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    group_size = words.shape[0] // scales.shape[0]
    per_row = (scales.float().repeat_interleave(group_size, 0), _unpack(zeros).repeat_interleave(group_size, 0))
    return (_unpack(words) - per_row[1]) * per_row[0]


@reference("_C::awq_dequantize")
def awq_dequantize(words: Tensor, scales: Tensor, zeros: Tensor, split_k: int, thx: int, thy: int) -> Tensor:
    return _weight(words, scales, zeros).to(scales.dtype)


@reference("_C::awq_gemm")
def awq_gemm(x: Tensor, words: Tensor, scales: Tensor, zeros: Tensor, split_k: int) -> Tensor:
    return (x.double() @ _weight(words, scales, zeros).double()).to(x.dtype)
