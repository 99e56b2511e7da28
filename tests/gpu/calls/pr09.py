"""Calls of the operators that case pr09 of tests/replay/cases.toml moves, with shapes as models have them.

    torch-stabilize golden capture pr09 --callable ... -- python pr09.py LIBRARY...

`swap_blocks_batch` is missing: it takes addresses, which mean nothing in another process.
"""

from __future__ import annotations

import sys

import torch

CUDA = torch.device("cuda")
HALVES = (torch.float16, torch.bfloat16)
BLOCK = 16  # tokens
LATENT, ROPE = 512, 64  # of multi-head latent attention


def indices(*values: int, dtype: torch.dtype = torch.int32) -> torch.Tensor:
    """A tensor of integers on the GPU."""
    return torch.tensor(values, dtype=dtype, device=CUDA)


def one() -> torch.Tensor:
    """A scale that changes nothing."""
    return torch.ones(1, device=CUDA)


def attention() -> None:
    """Both kernels for sizes of heads, groups of queries, slopes, and a cache of fp8."""
    for dtype in HALVES:
        for size, heads, kv_heads, slopes, kind in (
            (64, 8, 8, False, "auto"),
            (128, 8, 2, True, "auto"),
            (80, 4, 4, False, "auto"),
            (128, 8, 8, False, "fp8"),
        ):
            lengths, blocks = (5, 33, 700), 64
            stored = dtype if kind == "auto" else torch.uint8
            x = 16 // torch.empty(0, dtype=stored).element_size()
            key = cache((blocks, kv_heads, size // x, BLOCK, x), stored)
            value = cache((blocks, kv_heads, size, BLOCK), stored)
            query = torch.randn(len(lengths), heads, size, dtype=dtype, device=CUDA)
            table = torch.randint(0, blocks, (len(lengths), 44), device=CUDA).to(torch.int32)
            alibi = torch.rand(heads, device=CUDA) if slopes else None
            many = (query, key, value, kv_heads, size**-0.5, table, indices(*lengths), BLOCK, max(lengths), alibi)
            rest = (*many, kind, one(), one(), 0, 0, 0, 64, 0)
            out = torch.empty_like(query)
            torch.ops._C.paged_attention_v1(out, *rest)
            parts = -(-max(lengths) // 512)
            sums = torch.empty(len(lengths), heads, parts, device=CUDA)
            part = torch.empty(len(lengths), heads, parts, size, dtype=dtype, device=CUDA)
            # What no part writes is part of the outputs.
            torch.ops._C.paged_attention_v2(out, sums.zero_(), torch.zeros_like(sums), part.zero_(), *rest)


def cache(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """What a cache may hold: numbers, or bytes that are numbers of fp8."""
    if dtype == torch.uint8:
        return torch.randint(0, 100, shape, device=CUDA).to(torch.uint8)
    return torch.randn(shape, dtype=dtype, device=CUDA)


def reshapes() -> None:
    """Keys and values into the cache, two tokens of them without a slot."""
    ops = torch.ops._C_cache_ops
    slots = indices(3, -1, 40, 17, 0, -1, 63, dtype=torch.int64)
    for dtype in HALVES:
        for kind in ("auto", "fp8"):
            stored = dtype if kind == "auto" else torch.uint8
            x = 16 // torch.empty(0, dtype=stored).element_size()
            key, value = (torch.randn(len(slots), 4, 64, dtype=dtype, device=CUDA) for _ in "kv")
            keys, values = cache((4, 4, 64 // x, BLOCK, x), stored), cache((4, 4, 64, BLOCK), stored)
            ops.reshape_and_cache(key, value, keys, values, slots, kind, one(), one())
            flat = [cache((4, BLOCK, 4, 64), stored) for _ in "kv"]
            ops.reshape_and_cache_flash(key, value, *flat, slots, kind, one(), one())
        ops.convert_fp8(
            cache((4, 4, 8, 16), torch.uint8), torch.randn(4, 4, 8, 16, dtype=dtype, device=CUDA), 1.0, "fp8"
        )


def latent() -> None:
    """Caches of multi-head latent attention: in, with rotation, and out."""
    ops = torch.ops._C_cache_ops
    slots = indices(3, -1, 40, 17, 0, dtype=torch.int64)
    tokens = len(slots)
    table, ends, lengths = indices(2, 0, 1, 3).reshape(2, 2), indices(0, 20, 45), indices(20, 25)
    for dtype in HALVES:
        for kind in ("auto", "fp8"):
            stored = dtype if kind == "auto" else torch.uint8
            kv, rope = (torch.randn(tokens, width, dtype=dtype, device=CUDA) for width in (LATENT, ROPE))
            ops.concat_and_cache_mla(kv, rope, cache((4, BLOCK, LATENT + ROPE), stored), slots, kind, one())
            for neox in (True, False):
                positions = torch.arange(tokens, device=CUDA)
                queries = torch.randn(tokens, 4, ROPE, dtype=dtype, device=CUDA)
                angles = torch.randn(64, ROPE, dtype=dtype, device=CUDA)
                into = cache((4, BLOCK, LATENT + ROPE), stored)
                ops.concat_and_cache_mla_rope_fused(
                    positions, queries, rope.clone(), kv, angles, neox, slots, into, kind, one()
                )
            whole = torch.zeros(45, LATENT + ROPE, dtype=dtype, device=CUDA)
            of_token = torch.repeat_interleave(torch.arange(2, device=CUDA, dtype=torch.int32), lengths)
            stores = cache((4, BLOCK, LATENT + ROPE), stored)
            ops.gather_and_maybe_dequant_cache(stores, whole, table, ends, of_token, 45, kind, one(), None)
        ops.cp_gather_cache(cache((4, BLOCK, LATENT + ROPE), dtype), torch.zeros_like(whole), table, ends, 2, None)
        nope, rotated = (torch.randn(tokens, 128, width, dtype=dtype, device=CUDA) for width in (LATENT, ROPE))
        ops.concat_mla_q(nope, rotated, torch.empty(tokens, 128, LATENT + ROPE, dtype=dtype, device=CUDA))
    kv, rope = (torch.randn(tokens, width, dtype=torch.bfloat16, device=CUDA) for width in (LATENT, ROPE))
    ops.concat_and_cache_mla(kv, rope, cache((4, BLOCK, 656), torch.uint8), slots, "fp8_ds_mla", one())
    widened = torch.zeros(45, LATENT + ROPE, dtype=torch.bfloat16, device=CUDA)
    packed = cache((4, BLOCK, 656), torch.uint8).remainder(60)
    ops.cp_gather_and_upconvert_fp8_kv_cache(packed, widened, table, lengths, indices(0, 20), 2)


def indexer() -> None:
    """Keys of the indexer, quantised into the cache and gathered from it."""
    ops = torch.ops._C_cache_ops
    slots = indices(3, -1, 40, 17, 0, dtype=torch.int64)
    for kind in ("auto", "ue8m0"):
        keys = torch.randn(len(slots), 128, dtype=torch.bfloat16, device=CUDA)
        ops.indexer_k_quant_and_cache(keys, cache((4, 64, 132), torch.uint8), slots, 128, kind)
    gathered, scales = (
        torch.zeros(45, 128, dtype=torch.uint8, device=CUDA),
        torch.zeros(45, 4, dtype=torch.uint8, device=CUDA),
    )
    table, ends = indices(2, 0, 1, 3).reshape(2, 2), indices(0, 20, 45)
    ops.cp_gather_indexer_k_quant_cache(cache((4, 64, 132), torch.uint8), gathered, scales, table, ends)


def swaps() -> None:
    """Blocks between the GPU and the host, and on the GPU."""
    mapping = torch.tensor([[0, 3], [2, 1]], dtype=torch.int64)
    on_gpu, other = (cache((4, 4, 64, BLOCK), torch.float16) for _ in "ab")
    size = on_gpu[0].numel() * on_gpu.element_size()
    torch.ops._C_cache_ops.swap_blocks(on_gpu, other.clone(), size, mapping)
    torch.ops._C_cache_ops.swap_blocks(on_gpu, other.cpu(), size, mapping)
    torch.ops._C_cache_ops.swap_blocks(on_gpu.cpu(), other.clone(), size, mapping)


def main(libraries: list[str]) -> None:
    """Load the libraries and make the calls."""
    for library in libraries:
        torch.ops.load_library(library)
    torch.manual_seed(0)
    for calls in (attention, reshapes, latent, indexer, swaps):
        calls()
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(sys.argv[1:])
