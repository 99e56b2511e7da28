from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.sample.references.registry import reference


def _ends(
    sequence: int, start: int, length: int, block_size: int, cu_chunk_seqlen: Tensor | None, last_chunk: Tensor | None
) -> list[int]:
    """After how many steps the blocks of a sequence are full, the last with its last step."""
    if cu_chunk_seqlen is None or last_chunk is None:
        return [*range(block_size, length, block_size), length]
    first = 0 if sequence == 0 else int(last_chunk[sequence - 1]) + 1
    return [int(end) - start for end in cu_chunk_seqlen[first + 1 : int(last_chunk[sequence]) + 2]]


@reference("_C::selective_scan_fwd")
def selective_scan_fwd(
    u: Tensor,
    delta: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    d: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    query_start_loc: Tensor | None,
    cache_indices: Tensor | None,
    has_initial_state: Tensor | None,
    states: Tensor,
    null_block_id: int,
    block_size: int,
    first_block: Tensor | None,
    last_block: Tensor | None,
    initial_block: Tensor | None,
    cu_chunk_seqlen: Tensor | None,
    last_chunk: Tensor | None,
) -> None:
    per_group = a.shape[0] // b.shape[-3]
    sequences = len(u) if query_start_loc is None else len(query_start_loc) - 1
    for i in range(sequences):
        start = 0
        index: tuple[Any, ...] = (i, ...)
        if query_start_loc is not None:
            start = int(query_start_loc[i])
            index = (..., slice(start, int(query_start_loc[i + 1])))
        slots = [i] if cache_indices is None else cache_indices[i].reshape(-1).tolist()
        length = u[index].shape[-1]
        ends, written, initial = [length], [0], 0
        if first_block is not None and last_block is not None and initial_block is not None:
            ends = _ends(i, start, length, block_size, cu_chunk_seqlen, last_chunk)
            written = [*range(int(first_block[i]), int(first_block[i]) + len(ends) - 1), int(last_block[i])]
            initial = int(initial_block[i])
        if cache_indices is not None and slots[written[-1]] == null_block_id:
            continue

        x, dt = u[index].float(), delta[index].float()
        if delta_bias is not None:
            dt = dt + delta_bias.unsqueeze(1)
        if delta_softplus:
            dt = F.softplus(dt)
        rows_b, rows_c = (m[index].float().repeat_interleave(per_group, 0) for m in (b, c))
        resumes = has_initial_state is not None and bool(has_initial_state[i])
        state = states[slots[initial]].float() if resumes else torch.zeros(a.shape)
        y = torch.empty(x.shape)
        for t in range(length):
            state = state * torch.exp(dt[:, t, None] * a) + dt[:, t, None] * rows_b[:, :, t] * x[:, t, None]
            y[:, t] = (state * rows_c[:, :, t]).sum(1)
            if t + 1 in ends:
                slot = slots[written[ends.index(t + 1)]]
                if cache_indices is None or slot != null_block_id:
                    states[slot] = state.to(states.dtype)
        if d is not None:
            y = y + d.unsqueeze(1) * x
        if z is None:
            delta[index] = y.to(delta.dtype)
        else:
            z[index] = (y * F.silu(z[index].float())).to(z.dtype)
