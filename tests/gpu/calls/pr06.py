"""Calls of the operators that case pr06 of tests/replay/cases.toml moves, with shapes as models have them.

torch-stabilize golden capture pr06 --callable ... -- python pr06.py LIBRARY...
"""

from __future__ import annotations

import sys

import torch

CUDA = torch.device("cuda")
HALVES = (torch.float16, torch.bfloat16)
# Types of GGUF: bytes and values of a block.
GGUF = {
    2: (18, 32),
    3: (20, 32),
    6: (22, 32),
    8: (34, 32),
    10: (84, 256),
    11: (110, 256),
    12: (144, 256),
    14: (210, 256),
}


def activations() -> None:
    """Each activation for each dtype, with a size that fills vectors and one that does not."""
    ops = torch.ops._C
    for dtype in (torch.float32, *HALVES):
        for tokens, width in ((7, 512), (83, 1368), (3, 77)):
            both = torch.randn(tokens, 2 * width, dtype=dtype, device=CUDA)
            for name in ("silu_and_mul", "mul_and_silu", "gelu_and_mul", "gelu_tanh_and_mul"):
                getattr(ops, name)(torch.empty(tokens, width, dtype=dtype, device=CUDA), both)
            ops.fatrelu_and_mul(torch.empty(tokens, width, dtype=dtype, device=CUDA), both, 0.25)
            ops.swigluoai_and_mul(torch.empty(tokens, width, dtype=dtype, device=CUDA), both)
            ops.silu_and_mul_with_clamp(torch.empty(tokens, width, dtype=dtype, device=CUDA), both, 1.5)
            for name in ("gelu_new", "gelu_fast", "gelu_quick"):
                getattr(ops, name)(torch.empty(tokens, width, dtype=dtype, device=CUDA), both[:, :width].contiguous())


def quantisations() -> None:
    """fp8 and int8: static, dynamic, by token; with bounds and zero points."""
    ops = torch.ops._C
    for dtype in HALVES:
        for tokens, width in ((5, 256), (31, 1024), (9, 2056)):
            x = torch.randn(tokens, width, dtype=dtype, device=CUDA)
            fp8 = torch.empty(tokens, width, dtype=torch.float8_e4m3fn, device=CUDA)
            scale = torch.tensor([0.037], device=CUDA)
            ops.static_scaled_fp8_quant(fp8, x, scale)
            ops.dynamic_scaled_fp8_quant(fp8, x, torch.zeros(1, device=CUDA))
            by_token = torch.empty(tokens, 1, device=CUDA)
            ops.dynamic_per_token_scaled_fp8_quant(fp8, x, by_token, None)
            ops.dynamic_per_token_scaled_fp8_quant(fp8, x, by_token, torch.tensor([1.25], device=CUDA))
            int8 = torch.empty(tokens, width, dtype=torch.int8, device=CUDA)
            ops.static_scaled_int8_quant(int8, x, scale, None)
            ops.static_scaled_int8_quant(int8, x, scale, torch.tensor([3], dtype=torch.int32, device=CUDA))
            ops.dynamic_scaled_int8_quant(int8, x, by_token, None)
            ops.dynamic_scaled_int8_quant(int8, x, by_token, torch.empty(tokens, 1, dtype=torch.int32, device=CUDA))


def gguf() -> None:
    """Weights of small bytes, so that every scale in them is a number."""
    ops = torch.ops._C
    rows, width = 64, 512
    for kind, (size, values) in GGUF.items():
        weight = torch.randint(0, 60, (rows, width // values * size), device=CUDA).to(torch.uint8)
        for dtype in HALVES:
            ops.ggml_dequantize(weight, kind, rows, width, dtype)
            ops.ggml_mul_mat_vec_a8(weight, torch.randn(1, width, dtype=dtype, device=CUDA), kind, rows)
            ops.ggml_mul_mat_a8(weight, torch.randn(17, width, dtype=dtype, device=CUDA), kind, rows)
        experts, tokens, top_k = 4, 6, 2
        each = torch.randint(0, 60, (experts, rows, width // values * size), device=CUDA).to(torch.uint8)
        x = torch.randn(tokens, width, dtype=torch.float16, device=CUDA)
        chosen = torch.arange(tokens * top_k, dtype=torch.int32, device=CUDA).remainder(experts).reshape(tokens, top_k)
        ops.ggml_moe_a8_vec(x, each, chosen, top_k, kind, rows, tokens)
        block = ops.ggml_moe_get_block_size(kind)
        if block:
            ids, of_block = aligned(chosen, experts, block)
            padded = torch.tensor([ids.numel()], dtype=torch.int32, device=CUDA)
            ops.ggml_moe_a8(x, each, ids, of_block, padded, kind, rows, top_k, tokens)


def aligned(chosen: torch.Tensor, experts: int, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The places in `chosen` ordered by expert, each expert's filled up to whole blocks, and the expert of each block."""
    flat = chosen.flatten().cpu()
    ids: list[int] = []
    of_block: list[int] = []
    for expert in range(experts):
        mine = torch.nonzero(flat == expert).flatten().tolist()
        mine += [flat.numel()] * (-len(mine) % block)
        ids += mine
        of_block += [expert] * (len(mine) // block)
    return torch.tensor(ids, dtype=torch.int32, device=CUDA), torch.tensor(of_block, dtype=torch.int32, device=CUDA)


def gptq() -> None:
    """2, 3, 4 and 8 bits, with the shuffled weights of exllama and without, in an order of activations and without."""
    ops = torch.ops._C
    width, columns, group = 256, 128, 128
    nothing = torch.empty(0, dtype=torch.int32, device=CUDA)
    for bits in (2, 3, 4, 8):
        packed = torch.randint(-(2**31), 2**31 - 1, (width // 32 * bits, columns), device=CUDA).to(torch.int32)
        zeros = torch.randint(-(2**31), 2**31 - 1, (width // group, columns // 32 * bits), device=CUDA).to(torch.int32)
        scales = torch.rand(width // group, columns, dtype=torch.float16, device=CUDA) / 32
        order = torch.arange(width, dtype=torch.int32, device=CUDA) // group
        for rows in (1, 9, 70):
            x = torch.randn(rows, width, dtype=torch.float16, device=CUDA)
            ops.gptq_gemm(x, packed, zeros, scales, order, False, True, bits)
            shuffled = packed.clone()
            ops.gptq_shuffle(shuffled, nothing, bits)
            ops.gptq_gemm(x, shuffled, zeros, scales, nothing, True, True, bits)
            ops.gptq_gemm(x, shuffled, zeros, scales, nothing, True, False, bits)
        permuted = packed.clone()
        ops.gptq_shuffle(permuted, torch.randperm(width, device=CUDA).to(torch.int32), bits)


def main(libraries: list[str]) -> None:
    """Load the libraries and make the calls."""
    for library in libraries:
        torch.ops.load_library(library)
    torch.manual_seed(0)
    for calls in (activations, quantisations, gguf, gptq):
        calls()
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(sys.argv[1:])
