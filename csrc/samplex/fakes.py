"""What results of operators look like, for torch.compile. Those that write to their arguments alone need no fake."""

import torch


@torch.library.register_fake("_C::awq_dequantize")
def _(
    kernel: torch.Tensor,
    scaling_factors: torch.Tensor,
    zeros: torch.Tensor,
    split_k_iters: int,
    thx: int,
    thy: int,
) -> torch.Tensor:
    return scaling_factors.new_empty(kernel.size(0), kernel.size(1) * 8)


@torch.library.register_fake("_C::awq_gemm")
def _(
    in_feats: torch.Tensor,
    kernel: torch.Tensor,
    scaling_factors: torch.Tensor,
    zeros: torch.Tensor,
    split_k_iters: int,
) -> torch.Tensor:
    return in_feats.new_empty(in_feats.size(0), kernel.size(1) * 8)


@torch.library.register_fake("_C::allspark_w8a16_gemm")
def _(a: torch.Tensor, b_qweight: torch.Tensor, b_scales: torch.Tensor, b_qzeros: torch.Tensor | None, n: int, *_):
    return a.new_empty(a.size(0), n)


@torch.library.register_fake("_C::gptq_gemm")
def _(a: torch.Tensor, b_q_weight: torch.Tensor, *_) -> torch.Tensor:
    return a.new_empty(a.size(0), b_q_weight.size(1))


@torch.library.register_fake("_C::ggml_dequantize")
def _(weight: torch.Tensor, kind: int, m: int, n: int, dtype: torch.dtype | None) -> torch.Tensor:
    return weight.new_empty(m, n, dtype=dtype or torch.float16)


@torch.library.register_fake("_C::ggml_mul_mat_vec_a8")
def _(weight: torch.Tensor, x: torch.Tensor, kind: int, row: int) -> torch.Tensor:
    return x.new_empty(x.size(0), row)


@torch.library.register_fake("_C::hadacore_transform")
def _(x: torch.Tensor, inplace: bool) -> torch.Tensor:
    return torch.empty_like(x)


@torch.library.register_fake("_C::minimax_allreduce_rms")
def _(x: torch.Tensor, *_) -> torch.Tensor:
    return torch.empty_like(x)


@torch.library.register_fake("_C::minimax_allreduce_rms_qk")
def _(
    qkv: torch.Tensor,
    norm_weight_q: torch.Tensor,
    norm_weight_k: torch.Tensor,
    workspace: torch.Tensor,
    q_size: int,
    kv_size: int,
    *_,
) -> tuple[torch.Tensor, torch.Tensor]:
    return qkv.new_empty(qkv.size(0), q_size), qkv.new_empty(qkv.size(0), kv_size)


@torch.library.register_fake("_C::fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert")
def _(
    q_in: torch.Tensor,
    kv: torch.Tensor,
    k_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    position_ids: torch.Tensor,
    cos_sin_cache: torch.Tensor,
    q_head_padded: int,
    *_,
) -> torch.Tensor:
    return q_in.new_empty(q_in.size(0), q_head_padded, q_in.size(2))


@torch.library.register_fake("_C_cache_ops::swap_blocks_batch")
def _(
    src_ptrs: torch.Tensor, dst_ptrs: torch.Tensor, sizes: torch.Tensor, is_src_access_order_any: bool = False
) -> None:
    return None
