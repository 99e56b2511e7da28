from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference

MAX_HEADS, MAX_LATENT, KEYS_PER_SPLIT = 128, 512, 512


@reference("_C::sm100_cutlass_mla_decode")
def sm100_cutlass_mla_decode(
    out: Tensor,
    lse: Tensor,
    q_nope: Tensor,
    q_pe: Tensor,
    cache: Tensor,
    lengths: Tensor,
    page_table: Tensor,
    workspace: Tensor,
    scale: float,
    splits: int,
) -> None:
    latent = q_nope.shape[2]
    for token, length in enumerate(lengths.tolist()):
        keys = cache[page_table[token].long()].flatten(0, 1)[:length].double()
        scores = torch.cat([q_nope[token], q_pe[token]], 1).double() @ keys.T * scale
        out[token] = scores.softmax(-1) @ keys[:, :latent]
        lse[token] = scores.logsumexp(-1) if length else -torch.inf


@reference("_C::sm100_cutlass_mla_get_workspace_size")
def sm100_cutlass_mla_get_workspace_size(longest: int, sequences: int, multiprocessors: int, splits: int) -> int:
    if splits <= 0:
        splits = max(1, min(-(-longest // KEYS_PER_SPLIT), multiprocessors // sequences))
    return 0 if splits == 1 else splits * sequences * MAX_HEADS * (MAX_LATENT + 1) * 4
