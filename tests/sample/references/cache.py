from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from tests.sample.references.registry import reference

FP8 = torch.float8_e4m3fn
FP8_MAX = 448.0


def _store(x: Tensor, cache: Tensor, scale: Tensor | float) -> Tensor:
    """`x` as the elements of `cache`, which holds fp8 where it holds bytes."""
    if cache.dtype != torch.uint8:
        return x.to(cache.dtype)
    return (x.float() / scale).clamp(-FP8_MAX, FP8_MAX).to(FP8).view(torch.uint8)


def _load(cache: Tensor, scale: Tensor | float) -> Tensor:
    return cache.float() if cache.dtype != torch.uint8 else cache.view(FP8).float() * scale


def _placed(slots: Tensor, block_size: int) -> list[tuple[int, int, int]]:
    """Token, block and offset of every token that has a slot."""
    return [(token, *divmod(slot, block_size)) for token, slot in enumerate(slots.tolist()) if slot >= 0]


@reference("_C_cache_ops::swap_blocks")
def swap_blocks(src: Tensor, dst: Tensor, block_size_in_bytes: int, mapping: Tensor) -> None:
    source, target = src.view(torch.uint8).flatten(), dst.view(torch.uint8).flatten()
    for old, new in mapping.tolist():
        block = source[old * block_size_in_bytes : (old + 1) * block_size_in_bytes]
        target[new * block_size_in_bytes : (new + 1) * block_size_in_bytes] = block


@reference("_C_cache_ops::swap_blocks_batch")
def swap_blocks_batch(sources: Tensor, targets: Tensor, sizes: Tensor, any_order: bool = False) -> None:
    for source, target, size in zip(sources.tolist(), targets.tolist(), sizes.tolist(), strict=True):
        ctypes.memmove(target, source, size)


@reference("_C_cache_ops::reshape_and_cache")
def reshape_and_cache(
    key: Tensor,
    value: Tensor,
    keys: Tensor,
    values: Tensor,
    slots: Tensor,
    dtype: str,
    k_scale: Tensor,
    v_scale: Tensor,
) -> None:
    heads = keys.transpose(2, 3)  # [blocks, heads, tokens, vectors, elements of a vector]
    for token, block, offset in _placed(slots, keys.shape[3]):
        heads[block, :, offset] = _store(key[token], keys, k_scale).reshape(heads.shape[1], *heads.shape[3:])
        values[block, :, :, offset] = _store(value[token], values, v_scale)


@reference("_C_cache_ops::reshape_and_cache_flash")
def reshape_and_cache_flash(
    key: Tensor,
    value: Tensor,
    keys: Tensor,
    values: Tensor,
    slots: Tensor,
    dtype: str,
    k_scale: Tensor,
    v_scale: Tensor,
) -> None:
    for token, block, offset in _placed(slots, keys.shape[1]):
        keys[block, offset] = _store(key[token], keys, k_scale)
        values[block, offset] = _store(value[token], values, v_scale)


@reference("_C_cache_ops::concat_and_cache_mla")
def concat_and_cache_mla(
    latent: Tensor, rotated: Tensor, cache: Tensor, slots: Tensor, dtype: str, scale: Tensor
) -> None:
    for token, block, offset in _placed(slots, cache.shape[1]):
        cache[block, offset] = _store(torch.cat([latent[token], rotated[token]]), cache, scale)


@reference("_C_cache_ops::concat_and_cache_mla_rope_fused")
def concat_and_cache_mla_rope_fused(
    positions: Tensor, query: Tensor, key: Tensor, latent: Tensor, cos_sin: Tensor, neox: bool, slots: Tensor,
    cache: Tensor, dtype: str, scale: Tensor,
) -> None:  # fmt: skip
    cosine, sine = cos_sin[positions].float().unsqueeze(1).chunk(2, dim=-1)
    for heads in (query, key.unsqueeze(1)):
        half = heads.shape[-1] // 2
        parts = (heads[..., :half], heads[..., half:]) if neox else (heads[..., ::2], heads[..., 1::2])
        x, y = (part.float().clone() for part in parts)
        parts[0].copy_(x * cosine - y * sine)
        parts[1].copy_(y * cosine + x * sine)
    concat_and_cache_mla(latent, key, cache, slots, dtype, scale)


@reference("_C_cache_ops::convert_fp8")
def convert_fp8(dst: Tensor, src: Tensor, scale: float, dtype: str) -> None:
    dst.copy_(_store(src, dst, scale) if dst.dtype == torch.uint8 else _load(src, scale))


def _entries(cache: Tensor, blocks: Tensor, start: int, length: int) -> Tensor:
    positions = torch.arange(start, start + length)
    return cache[blocks[positions // cache.shape[1]].long(), positions % cache.shape[1]]


@reference("_C_cache_ops::gather_and_maybe_dequant_cache")
def gather_and_maybe_dequant_cache(
    cache: Tensor, dst: Tensor, table: Tensor, cu_seq_lens: Tensor, token_to_seq: Tensor, tokens: int, dtype: str,
    scale: Tensor, starts: Tensor | None,
) -> None:  # fmt: skip
    for i, (begin, end) in enumerate(zip(cu_seq_lens.tolist(), cu_seq_lens[1:].tolist(), strict=False)):
        start = 0 if starts is None else int(starts[i])
        dst[begin:end] = _load(_entries(cache, table[i], start, end - begin), scale)


@reference("_C_cache_ops::cp_gather_cache")
def cp_gather_cache(
    cache: Tensor, dst: Tensor, table: Tensor, cu_seq_lens: Tensor, batch: int, starts: Tensor | None
) -> None:
    for i, (begin, end) in enumerate(zip(cu_seq_lens.tolist(), cu_seq_lens[1:].tolist(), strict=False)):
        dst[begin:end] = _entries(cache, table[i], 0 if starts is None else int(starts[i]), end - begin)


@reference("_C_cache_ops::cp_gather_and_upconvert_fp8_kv_cache")
def cp_gather_and_upconvert_fp8_kv_cache(
    cache: Tensor, dst: Tensor, table: Tensor, seq_lens: Tensor, starts: Tensor, batch: int
) -> None:
    for i, (begin, length) in enumerate(zip(starts.tolist(), seq_lens.tolist(), strict=True)):
        entries = _entries(cache, table[i], 0, length)
        scales = entries[:, 512:528].contiguous().view(torch.float32).repeat_interleave(128, 1)
        scaled = entries[:, :512].view(FP8).float() * scales
        unscaled = entries[:, 528:].contiguous().view(torch.bfloat16)
        dst[begin : begin + length] = torch.cat([scaled.to(dst.dtype), unscaled], 1)


@reference("_C_cache_ops::indexer_k_quant_and_cache")
def indexer_k_quant_and_cache(key: Tensor, cache: Tensor, slots: Tensor, group: int, scale_fmt: str) -> None:
    block_size, size = cache.shape[1], key.shape[1]
    for token, block, offset in _placed(slots, block_size):
        numbers = key[token].float().reshape(-1, group)
        scale = numbers.abs().amax(1, keepdim=True).clamp(min=1e-4) / FP8_MAX
        if scale_fmt == "ue8m0":
            scale = scale.log2().ceil().exp2()
        content = cache[block].view(-1)
        content[offset * size : (offset + 1) * size] = _store(numbers, cache, scale).flatten()
        behind = content[block_size * size : block_size * (size + len(scale) * 4)].view(block_size, -1)
        behind[offset] = scale.flatten().view(torch.uint8)


@reference("_C_cache_ops::concat_mla_q")
def concat_mla_q(first: Tensor, second: Tensor, out: Tensor) -> None:
    out.copy_(torch.cat([first, second], -1))
