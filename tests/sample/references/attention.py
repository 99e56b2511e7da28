from __future__ import annotations

import torch
from torch import Tensor

from tests.sample.references.registry import reference

PART = 512


def _cached(cache: Tensor, dtype: str, scale: Tensor) -> Tensor:
    if dtype == "auto":
        return cache.double()
    return cache.view(torch.float8_e4m3fn).double() * scale.double()


def _seen(
    head: int, heads: int, kv_head: int, kv_heads: int, length: int, rank: int, local: int, stride: int, size: int,
    step: int,
) -> Tensor:  # fmt: skip
    """Which tokens a head sees: local blocks, and one block in `stride` before them."""
    if stride <= 1:
        return torch.ones(length, dtype=torch.bool)
    blocks = torch.arange(length) // size
    offset = (rank * heads + head) * step + 1 if step >= 0 else (rank * kv_heads + kv_head) * -step + 1
    return (blocks > (length - 1) // size - local) | ((blocks + offset) % stride == 0)


def _logits_and_values(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, kv_heads: int, scale: float, table: Tensor, length: int,
    alibi: Tensor | None, dtype: str, k_scale: Tensor, v_scale: Tensor, sparse: tuple[int, ...],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """For one sequence, [heads, tokens] and [heads, tokens, head_size]."""
    heads, head_size = query.shape
    # the vectors of a key lie apart: [blocks, kv heads, vectors, tokens, elements]
    keys = _cached(key_cache[table.long()], dtype, k_scale).permute(0, 3, 1, 2, 4).reshape(-1, kv_heads, head_size)
    values = _cached(value_cache[table.long()], dtype, v_scale).permute(0, 3, 1, 2).reshape(-1, kv_heads, head_size)
    shared = heads // kv_heads
    keys, values = (x[:length].repeat_interleave(shared, 1).transpose(0, 1) for x in (keys, values))
    logits = (keys @ query.double().unsqueeze(2)).squeeze(2) * scale
    if alibi is not None:
        logits += alibi.double().unsqueeze(1) * torch.arange(1 - length, 1)
    for head in range(heads):
        logits[head, ~_seen(head, heads, head // shared, kv_heads, length, *sparse)] = -torch.inf
    return logits, values


@reference("_C::paged_attention_v1")
def paged_attention_v1(
    out: Tensor, query: Tensor, key_cache: Tensor, value_cache: Tensor, kv_heads: int, scale: float, tables: Tensor,
    seq_lens: Tensor, block_size: int, max_seq_len: int, alibi: Tensor | None, dtype: str, k_scale: Tensor,
    v_scale: Tensor, *sparse: int,
) -> None:  # fmt: skip
    for i, length in enumerate(seq_lens.tolist()):
        logits, values = _logits_and_values(
            query[i], key_cache, value_cache, kv_heads, scale, tables[i], length, alibi, dtype, k_scale, v_scale, sparse
        )
        out[i] = (logits.softmax(1).unsqueeze(1) @ values).squeeze(1).to(out.dtype)


@reference("_C::paged_attention_v2")
def paged_attention_v2(
    out: Tensor, sums: Tensor, maxima: Tensor, tmp_out: Tensor, query: Tensor, key_cache: Tensor, value_cache: Tensor,
    kv_heads: int, scale: float, tables: Tensor, seq_lens: Tensor, block_size: int, max_seq_len: int,
    alibi: Tensor | None, dtype: str, k_scale: Tensor, v_scale: Tensor, *sparse: int,
) -> None:  # fmt: skip
    for i, length in enumerate(seq_lens.tolist()):
        logits, values = _logits_and_values(
            query[i], key_cache, value_cache, kv_heads, scale, tables[i], length, alibi, dtype, k_scale, v_scale, sparse
        )
        weights = []  # what each part counts for
        for part, start in enumerate(range(0, length, PART)):
            tokens = slice(start, start + PART)
            largest = logits[:, tokens].amax(1)
            maxima[i, :, part] = largest
            sums[i, :, part] = (logits[:, tokens] - largest.unsqueeze(1)).exp().sum(1)
            tmp_out[i, :, part] = (logits[:, tokens].softmax(1).unsqueeze(1) @ values[:, tokens]).squeeze(1)
            weights.append(sums[i, :, part].double().log() + largest)
        shares = torch.stack(weights, 1).softmax(1)
        out[i] = (shares.unsqueeze(1) @ tmp_out[i, :, : len(weights)].double()).squeeze(1).to(out.dtype)
