from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference


def _transformed(x: Tensor) -> Tensor:
    """The orthogonal Walsh-Hadamard transform of the last dimension: sums and differences of halves, recursively."""
    width = x.shape[-1]
    if width == 1:
        return x
    first, second = x.chunk(2, dim=-1)
    return torch.cat([_transformed(first + second), _transformed(first - second)], dim=-1) / 2**0.5


@reference("_C::hadacore_transform")
def hadacore_transform(x: Tensor, inplace: bool) -> Tensor:
    out = _transformed(x.double()).to(x.dtype)
    if inplace:
        x.copy_(out)
    return out
