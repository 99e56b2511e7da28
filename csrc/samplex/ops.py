"""Thin wrappers over the operators of the compiled library."""

import torch

import samplex._C  # noqa: F401  # registers torch.ops._C
from samplex import fakes  # noqa: F401  # what torch.compile is told of them


# activation
def silu_and_mul(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.silu_and_mul(out, x)


def silu_and_mul_with_clamp(out: torch.Tensor, x: torch.Tensor, limit: float) -> None:
    torch.ops._C.silu_and_mul_with_clamp(out, x, limit)


def mul_and_silu(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.mul_and_silu(out, x)


def gelu_and_mul(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_and_mul(out, x)


def gelu_tanh_and_mul(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_tanh_and_mul(out, x)


def fatrelu_and_mul(out: torch.Tensor, x: torch.Tensor, threshold: float = 0.0) -> None:
    torch.ops._C.fatrelu_and_mul(out, x, threshold)


def gelu_new(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_new(out, x)


def gelu_fast(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_fast(out, x)


def gelu_quick(out: torch.Tensor, x: torch.Tensor) -> None:
    torch.ops._C.gelu_quick(out, x)


# layernorm
def rms_norm(out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> None:
    torch.ops._C.rms_norm(out, x, weight, epsilon)


def fused_add_rms_norm(x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, epsilon: float) -> None:
    torch.ops._C.fused_add_rms_norm(x, residual, weight, epsilon)


# awq
def awq_dequantize(weight: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor) -> torch.Tensor:
    return torch.ops._C.awq_dequantize(weight, scales, zeros, 1, 0, 0)


def awq_gemm(
    x: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor, split_k_iters: int = 8
) -> torch.Tensor:
    return torch.ops._C.awq_gemm(x, weight, scales, zeros, split_k_iters)


# allspark
def allspark_repack_weight(
    weight: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The weight, its scales and its zero points in the order that allspark_w8a16_gemm takes them in."""
    rows, columns = weight.shape
    padded = -(-columns // 32) * 32
    weight_out = weight.new_empty(padded, rows)
    scales_out = scales.new_empty(1, padded)
    zeros_out = None if zeros is None else zeros.new_empty(1, padded)
    torch.ops._C.rearrange_kn_weight_as_n32k16_order(
        weight, scales, zeros, zeros is not None, weight_out, scales_out, zeros_out, rows, columns, padded
    )
    return weight_out, scales_out, zeros_out


def allspark_w8a16_gemm(
    x: torch.Tensor,
    weight: torch.Tensor,
    scales: torch.Tensor,
    zeros: torch.Tensor | None,
    columns: int,
    sm_count: int,
    sm_version: int,
    cublas_m_threshold: int = 1024,
) -> torch.Tensor:
    return torch.ops._C.allspark_w8a16_gemm(
        x, weight, scales, zeros, columns, -1, sm_count, sm_version, cublas_m_threshold, zeros is not None, True
    )


# hadamard
def hadacore_transform(x: torch.Tensor, inplace: bool = True) -> torch.Tensor:
    return torch.ops._C.hadacore_transform(x, inplace)


# dsv3_fused_a_gemm
def dsv3_fused_a_gemm(output: torch.Tensor, mat_a: torch.Tensor, mat_b: torch.Tensor) -> None:
    torch.ops._C.dsv3_fused_a_gemm(output, mat_a, mat_b)


# w8a8
def static_scaled_int8_quant(
    out: torch.Tensor, x: torch.Tensor, scale: torch.Tensor, azp: torch.Tensor | None = None
) -> None:
    torch.ops._C.static_scaled_int8_quant(out, x, scale, azp)


def dynamic_scaled_int8_quant(
    out: torch.Tensor, x: torch.Tensor, scales: torch.Tensor, azp: torch.Tensor | None = None
) -> None:
    torch.ops._C.dynamic_scaled_int8_quant(out, x, scales, azp)


def static_scaled_fp8_quant(
    out: torch.Tensor, x: torch.Tensor, scale: torch.Tensor, group_shape: tuple[int, int] | None = None
) -> None:
    torch.ops._C.static_scaled_fp8_quant(out, x, scale, group_shape)


def dynamic_scaled_fp8_quant(out: torch.Tensor, x: torch.Tensor, scale: torch.Tensor) -> None:
    torch.ops._C.dynamic_scaled_fp8_quant(out, x, scale)


def dynamic_per_token_scaled_fp8_quant(
    out: torch.Tensor, x: torch.Tensor, scales: torch.Tensor, scale_ub: torch.Tensor | None = None
) -> None:
    torch.ops._C.dynamic_per_token_scaled_fp8_quant(out, x, scales, scale_ub)


# gptq
def gptq_gemm(
    x: torch.Tensor,
    weight: torch.Tensor,
    zeros: torch.Tensor,
    scales: torch.Tensor,
    index: torch.Tensor,
    bits: int,
    use_exllama: bool = False,
    use_v2_format: bool = False,
) -> torch.Tensor:
    return torch.ops._C.gptq_gemm(x, weight, zeros, scales, index, use_exllama, use_v2_format, bits)


def gptq_shuffle(weight: torch.Tensor, order: torch.Tensor, bits: int) -> None:
    torch.ops._C.gptq_shuffle(weight, order, bits)


# gguf
def ggml_dequantize(
    weight: torch.Tensor, kind: int, rows: int, columns: int, dtype: torch.dtype | None = None
) -> torch.Tensor:
    return torch.ops._C.ggml_dequantize(weight, kind, rows, columns, dtype)


def ggml_mul_mat_vec_a8(weight: torch.Tensor, x: torch.Tensor, kind: int, rows: int) -> torch.Tensor:
    return torch.ops._C.ggml_mul_mat_vec_a8(weight, x, kind, rows)


def ggml_moe_get_block_size(kind: int) -> int:
    return torch.ops._C.ggml_moe_get_block_size(kind)


# attention
def merge_attn_states(
    output: torch.Tensor,
    prefix_output: torch.Tensor,
    prefix_lse: torch.Tensor,
    suffix_output: torch.Tensor,
    suffix_lse: torch.Tensor,
    output_lse: torch.Tensor | None = None,
    prefill_tokens_with_context: int | None = None,
    output_scale: torch.Tensor | None = None,
) -> None:
    torch.ops._C.merge_attn_states(
        output,
        output_lse,
        prefix_output,
        prefix_lse,
        suffix_output,
        suffix_lse,
        prefill_tokens_with_context,
        output_scale,
    )


# sampler
def apply_repetition_penalties(
    logits: torch.Tensor, prompt_mask: torch.Tensor, output_mask: torch.Tensor, penalties: torch.Tensor
) -> None:
    torch.ops._C.apply_repetition_penalties_(logits, prompt_mask, output_mask, penalties)


def top_k_per_row_prefill(
    logits: torch.Tensor, row_starts: torch.Tensor, row_ends: torch.Tensor, indices: torch.Tensor, k: int
) -> None:
    rows, strides = logits.shape[0], logits.stride()
    torch.ops._C.top_k_per_row_prefill(logits, row_starts, row_ends, indices, rows, *strides, k)


def top_k_per_row_decode(
    logits: torch.Tensor, next_n: int, seq_lens: torch.Tensor, indices: torch.Tensor, k: int
) -> None:
    rows, strides = logits.shape[0], logits.stride()
    torch.ops._C.top_k_per_row_decode(logits, next_n, seq_lens, indices, rows, *strides, k)


def persistent_topk(
    logits: torch.Tensor, lengths: torch.Tensor, output: torch.Tensor, workspace: torch.Tensor, k: int
) -> None:
    torch.ops._C.persistent_topk(logits, lengths, output, workspace, k, logits.shape[1])


# mamba
def selective_scan_fwd(
    u: torch.Tensor,
    delta: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    states: torch.Tensor,
    *,
    d: torch.Tensor | None = None,
    z: torch.Tensor | None = None,
    delta_bias: torch.Tensor | None = None,
    delta_softplus: bool = False,
    query_start_loc: torch.Tensor | None = None,
    cache_indices: torch.Tensor | None = None,
    has_initial_state: torch.Tensor | None = None,
    null_block_id: int = -1,
    block_size: int = 1024,
    first_block: torch.Tensor | None = None,
    last_block: torch.Tensor | None = None,
    initial_block: torch.Tensor | None = None,
    cu_chunk_seqlen: torch.Tensor | None = None,
    last_chunk_indices: torch.Tensor | None = None,
) -> torch.Tensor:
    """The result overwrites z where there is one, else delta."""
    torch.ops._C.selective_scan_fwd(
        u, delta, a, b, c, d, z, delta_bias, delta_softplus, query_start_loc, cache_indices, has_initial_state, states,
        null_block_id, block_size, first_block, last_block, initial_block, cu_chunk_seqlen, last_chunk_indices,
    )  # fmt: skip
    return delta if z is None else z


def paged_attention_v1(
    out: torch.Tensor,
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    scale: float,
    block_tables: torch.Tensor,
    seq_lens: torch.Tensor,
    max_seq_len: int,
    k_scale: torch.Tensor,
    v_scale: torch.Tensor,
    kv_cache_dtype: str = "auto",
    alibi_slopes: torch.Tensor | None = None,
    tp_rank: int = 0,
    blocksparse_local_blocks: int = 0,
    blocksparse_vert_stride: int = 0,
    blocksparse_block_size: int = 64,
    blocksparse_head_sliding_step: int = 0,
) -> None:
    torch.ops._C.paged_attention_v1(
        out, query, key_cache, value_cache, value_cache.shape[1], scale, block_tables, seq_lens, value_cache.shape[3],
        max_seq_len, alibi_slopes, kv_cache_dtype, k_scale, v_scale, tp_rank, blocksparse_local_blocks,
        blocksparse_vert_stride, blocksparse_block_size, blocksparse_head_sliding_step,
    )  # fmt: skip


def paged_attention_v2(
    out: torch.Tensor,
    exp_sums: torch.Tensor,
    max_logits: torch.Tensor,
    tmp_out: torch.Tensor,
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    scale: float,
    block_tables: torch.Tensor,
    seq_lens: torch.Tensor,
    max_seq_len: int,
    k_scale: torch.Tensor,
    v_scale: torch.Tensor,
    kv_cache_dtype: str = "auto",
    alibi_slopes: torch.Tensor | None = None,
    tp_rank: int = 0,
    blocksparse_local_blocks: int = 0,
    blocksparse_vert_stride: int = 0,
    blocksparse_block_size: int = 64,
    blocksparse_head_sliding_step: int = 0,
) -> None:
    torch.ops._C.paged_attention_v2(
        out, exp_sums, max_logits, tmp_out,
        query, key_cache, value_cache, value_cache.shape[1], scale, block_tables, seq_lens, value_cache.shape[3],
        max_seq_len, alibi_slopes, kv_cache_dtype, k_scale, v_scale, tp_rank, blocksparse_local_blocks,
        blocksparse_vert_stride, blocksparse_block_size, blocksparse_head_sliding_step,
    )  # fmt: skip


# cache
def swap_blocks(src: torch.Tensor, dst: torch.Tensor, block_size_in_bytes: int, block_mapping: torch.Tensor) -> None:
    torch.ops._C_cache_ops.swap_blocks(src, dst, block_size_in_bytes, block_mapping)


def swap_blocks_batch(
    src_ptrs: torch.Tensor, dst_ptrs: torch.Tensor, sizes: torch.Tensor, is_src_access_order_any: bool = False
) -> None:
    torch.ops._C_cache_ops.swap_blocks_batch(src_ptrs, dst_ptrs, sizes, is_src_access_order_any)


def reshape_and_cache(
    key: torch.Tensor,
    value: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    kv_cache_dtype: str,
    k_scale: torch.Tensor,
    v_scale: torch.Tensor,
) -> None:
    torch.ops._C_cache_ops.reshape_and_cache(
        key, value, key_cache, value_cache, slot_mapping, kv_cache_dtype, k_scale, v_scale
    )


def reshape_and_cache_flash(
    key: torch.Tensor,
    value: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    kv_cache_dtype: str,
    k_scale: torch.Tensor,
    v_scale: torch.Tensor,
) -> None:
    torch.ops._C_cache_ops.reshape_and_cache_flash(
        key, value, key_cache, value_cache, slot_mapping, kv_cache_dtype, k_scale, v_scale
    )


def concat_and_cache_mla(
    kv_c: torch.Tensor,
    k_pe: torch.Tensor,
    kv_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    kv_cache_dtype: str,
    scale: torch.Tensor,
) -> None:
    torch.ops._C_cache_ops.concat_and_cache_mla(kv_c, k_pe, kv_cache, slot_mapping, kv_cache_dtype, scale)


def concat_and_cache_mla_rope_fused(
    positions: torch.Tensor,
    q_pe: torch.Tensor,
    k_pe: torch.Tensor,
    kv_c: torch.Tensor,
    cos_sin_cache: torch.Tensor,
    is_neox: bool,
    slot_mapping: torch.Tensor,
    kv_cache: torch.Tensor,
    kv_cache_dtype: str,
    kv_cache_scale: torch.Tensor,
) -> None:
    torch.ops._C_cache_ops.concat_and_cache_mla_rope_fused(
        positions, q_pe, k_pe, kv_c, cos_sin_cache, is_neox, slot_mapping, kv_cache, kv_cache_dtype, kv_cache_scale
    )


def convert_fp8(dst_cache: torch.Tensor, src_cache: torch.Tensor, scale: float, kv_cache_dtype: str) -> None:
    torch.ops._C_cache_ops.convert_fp8(dst_cache, src_cache, scale, kv_cache_dtype)


def gather_and_maybe_dequant_cache(
    src_cache: torch.Tensor,
    dst: torch.Tensor,
    block_table: torch.Tensor,
    cu_seq_lens: torch.Tensor,
    token_to_seq: torch.Tensor,
    num_tokens: int,
    kv_cache_dtype: str,
    scale: torch.Tensor,
    seq_starts: torch.Tensor | None = None,
) -> None:
    torch.ops._C_cache_ops.gather_and_maybe_dequant_cache(
        src_cache, dst, block_table, cu_seq_lens, token_to_seq, num_tokens, kv_cache_dtype, scale, seq_starts
    )


def cp_gather_cache(
    src_cache: torch.Tensor,
    dst: torch.Tensor,
    block_table: torch.Tensor,
    cu_seq_lens: torch.Tensor,
    batch_size: int,
    seq_starts: torch.Tensor | None = None,
) -> None:
    torch.ops._C_cache_ops.cp_gather_cache(src_cache, dst, block_table, cu_seq_lens, batch_size, seq_starts)


def cp_gather_and_upconvert_fp8_kv_cache(
    src_cache: torch.Tensor,
    dst: torch.Tensor,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    workspace_starts: torch.Tensor,
    batch_size: int,
) -> None:
    torch.ops._C_cache_ops.cp_gather_and_upconvert_fp8_kv_cache(
        src_cache, dst, block_table, seq_lens, workspace_starts, batch_size
    )


def indexer_k_quant_and_cache(
    k: torch.Tensor, kv_cache: torch.Tensor, slot_mapping: torch.Tensor, quant_block_size: int, kv_cache_dtype: str
) -> None:
    torch.ops._C_cache_ops.indexer_k_quant_and_cache(k, kv_cache, slot_mapping, quant_block_size, kv_cache_dtype)


def concat_mla_q(ql_nope: torch.Tensor, q_pe: torch.Tensor, q_out: torch.Tensor) -> None:
    torch.ops._C_cache_ops.concat_mla_q(ql_nope, q_pe, q_out)


# cuda_utils
def get_device_attribute(attribute: int, device_id: int = -1) -> int:
    return torch.ops._C_cuda_utils.get_device_attribute(attribute, device_id)


def get_max_shared_memory_per_block_device_attribute(device_id: int = -1) -> int:
    return torch.ops._C_cuda_utils.get_max_shared_memory_per_block_device_attribute(device_id)


# mxfp8 experts
def mxfp8_experts_quant(
    x: torch.Tensor,
    problem_sizes: torch.Tensor,
    expert_offsets: torch.Tensor,
    scale_offsets: torch.Tensor,
    out: torch.Tensor,
    scales: torch.Tensor,
) -> None:
    torch.ops._C.mxfp8_experts_quant(x, problem_sizes, expert_offsets, scale_offsets, out, scales)


def cutlass_mxfp8_grouped_mm(
    a: torch.Tensor,
    b: torch.Tensor,
    a_scales: torch.Tensor,
    b_scales: torch.Tensor,
    out: torch.Tensor,
    problem_sizes: torch.Tensor,
    expert_offsets: torch.Tensor,
    scale_offsets: torch.Tensor,
) -> None:
    torch.ops._C.cutlass_mxfp8_grouped_mm(a, b, a_scales, b_scales, out, problem_sizes, expert_offsets, scale_offsets)


# minimax
def minimax_allreduce_rms(
    x: torch.Tensor, weight: torch.Tensor, workspace: torch.Tensor, rank: int, ranks: int, epsilon: float
) -> torch.Tensor:
    return torch.ops._C.minimax_allreduce_rms(x, weight, workspace, rank, ranks, epsilon)


def minimax_allreduce_rms_qk(
    qkv: torch.Tensor,
    q_weight: torch.Tensor,
    k_weight: torch.Tensor,
    workspace: torch.Tensor,
    q_size: int,
    kv_size: int,
    rank: int,
    ranks: int,
    epsilon: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ops._C.minimax_allreduce_rms_qk(
        qkv, q_weight, k_weight, workspace, q_size, kv_size, rank, ranks, epsilon
    )


# deepseek v4
def fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert(
    q: torch.Tensor,
    kv: torch.Tensor,
    cache: torch.Tensor,
    slots: torch.Tensor,
    positions: torch.Tensor,
    cos_sin_cache: torch.Tensor,
    padded_heads: int,
    epsilon: float,
    block_size: int,
) -> torch.Tensor:
    return torch.ops._C.fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert(
        q, kv, cache, slots, positions, cos_sin_cache, padded_heads, epsilon, block_size
    )


# mla
def sm100_cutlass_mla_decode(
    out: torch.Tensor,
    lse: torch.Tensor,
    q_nope: torch.Tensor,
    q_pe: torch.Tensor,
    cache: torch.Tensor,
    lengths: torch.Tensor,
    page_table: torch.Tensor,
    workspace: torch.Tensor,
    scale: float,
    num_kv_splits: int = 0,
) -> None:
    torch.ops._C.sm100_cutlass_mla_decode(
        out, lse, q_nope, q_pe, cache, lengths, page_table, workspace, scale, num_kv_splits
    )


def sm100_cutlass_mla_get_workspace_size(
    longest: int, sequences: int, multiprocessors: int, num_kv_splits: int = 0
) -> int:
    return torch.ops._C.sm100_cutlass_mla_get_workspace_size(longest, sequences, multiprocessors, num_kv_splits)


# nvfp4 cache
def reshape_and_cache_nvfp4(
    key: torch.Tensor,
    value: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    slots: torch.Tensor,
    k_scale: torch.Tensor,
    v_scale: torch.Tensor,
) -> None:
    torch.ops._C.reshape_and_cache_nvfp4(key, value, key_cache, value_cache, slots, k_scale, v_scale)


# custom all-reduce
def init_custom_ar(peers: list[int], rank_data: torch.Tensor, rank: int, fully_connected: bool) -> int:
    return torch.ops._C_custom_ar.init_custom_ar(peers, rank_data, rank, fully_connected)


def all_reduce(group: int, x: torch.Tensor, out: torch.Tensor, buffer: int, buffer_size: int) -> None:
    torch.ops._C_custom_ar.all_reduce(group, x, out, buffer, buffer_size)


def dispose(group: int) -> None:
    torch.ops._C_custom_ar.dispose(group)


def meta_size() -> int:
    return torch.ops._C_custom_ar.meta_size()


def register_buffer(group: int, addresses: list[int]) -> None:
    torch.ops._C_custom_ar.register_buffer(group, addresses)


def get_graph_buffer_ipc_meta(group: int) -> tuple[list[int], list[int]]:
    return torch.ops._C_custom_ar.get_graph_buffer_ipc_meta(group)


def register_graph_buffers(group: int, handles: list[list[int]], offsets: list[list[int]]) -> None:
    torch.ops._C_custom_ar.register_graph_buffers(group, handles, offsets)


def allocate_shared_buffer_and_handle(size: int) -> tuple[int, torch.Tensor]:
    return torch.ops._C_custom_ar.allocate_shared_buffer_and_handle(size)


def open_mem_handle(handle: torch.Tensor) -> int:
    return torch.ops._C_custom_ar.open_mem_handle(handle)


def free_shared_buffer(address: int) -> None:
    torch.ops._C_custom_ar.free_shared_buffer(address)
