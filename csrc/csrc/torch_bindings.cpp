#include <torch/library.h>

#include "cache.h"
#include "core/registration.h"
#include "cuda_utils.h"
#include "ops.h"

// Every operator is declared once, for all devices. The CPU kernels are always
// built; the CUDA ones are registered where the build has them.
TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, ops) {
  // Activations
  //
  // SwiGLU: silu(first half) * second half.
  ops.def("silu_and_mul(Tensor! result, Tensor input) -> ()");
  ops.impl("silu_and_mul", torch::kCPU, &silu_and_mul_cpu);

  // SwiGLU with both halves limited first.
  ops.def(
      "silu_and_mul_with_clamp(Tensor! result, Tensor input, float limit) "
      "-> ()");
  ops.impl("silu_and_mul_with_clamp", torch::kCPU, &silu_and_mul_clamp_cpu);

  // The halves in the other order: first half * silu(second half).
  ops.def("mul_and_silu(Tensor! out, Tensor input) -> ()");
  ops.impl("mul_and_silu", torch::kCPU, &mul_and_silu_cpu);

  // GeGLU, exact.
  ops.def("gelu_and_mul(Tensor! out, Tensor input) -> ()");
  ops.impl("gelu_and_mul", torch::kCPU, &gelu_and_mul_cpu);

  // GeGLU, tanh approximation.
  ops.def("gelu_tanh_and_mul(Tensor! out, Tensor input) -> ()");
  ops.impl("gelu_tanh_and_mul", torch::kCPU, &gelu_tanh_and_mul_cpu);

  // FATReLU: what is not above the threshold is zero.
  ops.def("fatrelu_and_mul(Tensor! out, Tensor input, float threshold) -> ()");
  ops.impl("fatrelu_and_mul", torch::kCPU, &fatrelu_and_mul_cpu);

  // GELU as GPT-2 computes it.
  ops.def("gelu_new(Tensor! out, Tensor input) -> ()");
  ops.impl("gelu_new", torch::kCPU, &gelu_new_cpu);

  // The same approximation with one multiplication less.
  ops.def("gelu_fast(Tensor! out, Tensor input) -> ()");
  ops.impl("gelu_fast", torch::kCPU, &gelu_fast_cpu);

  // GELU through a sigmoid.
  ops.def("gelu_quick(Tensor! out, Tensor input) -> ()");
  ops.impl("gelu_quick", torch::kCPU, &gelu_quick_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("silu_and_mul", torch::kCUDA, &silu_and_mul);
  ops.impl("silu_and_mul_with_clamp", torch::kCUDA, &silu_and_mul_clamp);
  ops.impl("mul_and_silu", torch::kCUDA, &mul_and_silu);
  ops.impl("gelu_and_mul", torch::kCUDA, &gelu_and_mul);
  ops.impl("gelu_tanh_and_mul", torch::kCUDA, &gelu_tanh_and_mul);
  ops.impl("fatrelu_and_mul", torch::kCUDA, &fatrelu_and_mul);
  ops.impl("gelu_new", torch::kCUDA, &gelu_new);
  ops.impl("gelu_fast", torch::kCUDA, &gelu_fast);
  ops.impl("gelu_quick", torch::kCUDA, &gelu_quick);
#endif

  // Layer normalisation
  //
  // Root mean square normalisation of the last dimension.
  ops.def(
      "rms_norm(Tensor! result, Tensor input, Tensor weight, float epsilon) "
      "-> ()");
  ops.impl("rms_norm", torch::kCPU, &rms_norm_cpu);

  // Adds the input to the residual, in place, and normalises the sum into the
  // input.
  ops.def(
      "fused_add_rms_norm(Tensor! input, Tensor! residual, Tensor weight, "
      "float epsilon) -> ()");
  ops.impl("fused_add_rms_norm", torch::kCPU, &fused_add_rms_norm_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("rms_norm", torch::kCUDA, &rms_norm);
  ops.impl("fused_add_rms_norm", torch::kCUDA, &fused_add_rms_norm);
#endif

  // AWQ
  //
  // Unpacks 4-bit weights.
  ops.def(
      "awq_dequantize(Tensor _kernel, Tensor _scaling_factors, "
      "Tensor _zeros, SymInt split_k_iters, int thx, int thy) -> Tensor");
  ops.impl("awq_dequantize", torch::kCPU, &awq_dequantize_cpu);

  // Multiplies with 4-bit weights.
  ops.def(
      "awq_gemm(Tensor _in_feats, Tensor _kernel, Tensor _scaling_factors, "
      "Tensor _zeros, SymInt split_k_iters) -> Tensor");
  ops.impl("awq_gemm", torch::kCPU, &awq_gemm_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("awq_dequantize", torch::kCUDA, &awq_dequantize);
  ops.impl("awq_gemm", torch::kCUDA, &awq_gemm);
#endif

  // AllSpark
  //
  // Brings 8-bit weights into the order that the multiplication reads them in.
  ops.def(
      "rearrange_kn_weight_as_n32k16_order(Tensor b_qweight, Tensor b_scales, "
      "Tensor? b_zeros, bool has_zp, Tensor! b_qweight_reorder, "
      "Tensor! b_scales_reorder, Tensor!? b_zeros_reorder, int K, int N, "
      "int N_32align) -> ()");
  ops.impl("rearrange_kn_weight_as_n32k16_order", torch::kCPU,
           &rearrange_kn_weight_as_n32k16_order_cpu);
  // The CUDA kernel is registered in its source, which not every build has.

  // Multiplies 16-bit activations with 8-bit weights.
  ops.def(
      "allspark_w8a16_gemm(Tensor a, Tensor b_qweight, Tensor b_scales, "
      "Tensor? b_qzeros, SymInt n, SymInt group_size, SymInt sm_count, "
      "SymInt sm_version, SymInt CUBLAS_M_THRESHOLD, bool has_zp, "
      "bool n32k16_reorder) -> Tensor");
  ops.impl("allspark_w8a16_gemm", torch::kCPU, &allspark_w8a16_gemm_cpu);
  // The CUDA kernel is registered in its source, which not every build has.

  // Hadamard transform of the last dimension.
  ops.def("hadacore_transform(Tensor! x, bool inplace) -> Tensor");
  ops.impl("hadacore_transform", torch::kCPU, &hadacore_transform_cpu);
  // The CUDA kernel is registered in its source, which not every build has.

  // The first projection of DeepSeek V3 for 1 to 16 tokens, in bfloat16.
  ops.def(
      "dsv3_fused_a_gemm(Tensor! output, Tensor mat_a, Tensor mat_b) -> ()");
  ops.impl("dsv3_fused_a_gemm", torch::kCPU, &dsv3_fused_a_gemm_cpu);
  // The CUDA kernel is registered in its source, which not every build has.

  // Quantisation of activations to 8 bits
  //
  // int8 with a given scale and, optionally, a zero point.
  ops.def(
      "static_scaled_int8_quant(Tensor! result, Tensor input, Tensor scale, "
      "Tensor? azp) -> ()");
  ops.impl("static_scaled_int8_quant", torch::kCPU,
           &static_scaled_int8_quant_cpu);

  // int8 with a scale for each token that the kernel computes; with a zero
  // point each where azp is given.
  ops.def(
      "dynamic_scaled_int8_quant(Tensor! result, Tensor input, "
      "Tensor! scale, Tensor!? azp) -> ()");
  ops.impl("dynamic_scaled_int8_quant", torch::kCPU,
           &dynamic_scaled_int8_quant_cpu);

  // fp8 with given scales: one, or one for each group of rows and columns.
  ops.def(
      "static_scaled_fp8_quant(Tensor! result, Tensor input, Tensor scale, "
      "int[]? group_shape=None) -> ()");
  ops.impl("static_scaled_fp8_quant", torch::kCPU,
           &static_scaled_fp8_quant_cpu);

  // fp8 with one scale that the kernel computes.
  ops.def(
      "dynamic_scaled_fp8_quant(Tensor! result, Tensor input, "
      "Tensor! scale) -> ()");
  ops.impl("dynamic_scaled_fp8_quant", torch::kCPU,
           &dynamic_scaled_fp8_quant_cpu);

  // fp8 with a scale for each token that the kernel computes; scale_ub bounds
  // the magnitudes that are represented.
  ops.def(
      "dynamic_per_token_scaled_fp8_quant(Tensor! result, Tensor input, "
      "Tensor! scale, Tensor? scale_ub) -> ()");
  ops.impl("dynamic_per_token_scaled_fp8_quant", torch::kCPU,
           &dynamic_per_token_scaled_fp8_quant_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("static_scaled_int8_quant", torch::kCUDA, &static_scaled_int8_quant);
  ops.impl("dynamic_scaled_int8_quant", torch::kCUDA,
           &dynamic_scaled_int8_quant);
  ops.impl("static_scaled_fp8_quant", torch::kCUDA, &static_scaled_fp8_quant);
  ops.impl("dynamic_scaled_fp8_quant", torch::kCUDA, &dynamic_scaled_fp8_quant);
  ops.impl("dynamic_per_token_scaled_fp8_quant", torch::kCUDA,
           &dynamic_per_token_scaled_fp8_quant);
#endif

  // GPTQ
  //
  // Multiplies with weights of 2, 3, 4 or 8 bits.
  ops.def(
      "gptq_gemm(Tensor a, Tensor b_q_weight, Tensor b_gptq_qzeros, "
      "Tensor b_gptq_scales, Tensor b_g_idx, bool use_exllama, "
      "bool use_v2_format, int bit) -> Tensor");
  ops.impl("gptq_gemm", torch::kCPU, &gptq_gemm_cpu);

  // Sorts the input channels of a weight, in place.
  ops.def("gptq_shuffle(Tensor! q_weight, Tensor q_perm, int bit) -> ()");
  ops.impl("gptq_shuffle", torch::kCPU, &gptq_shuffle_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("gptq_gemm", torch::kCUDA, &gptq_gemm);
  ops.impl("gptq_shuffle", torch::kCUDA, &gptq_shuffle);
#endif

  // GGUF
  //
  // Unpacks weights in one of the block formats; float16 unless asked for
  // another dtype.
  ops.def(
      "ggml_dequantize(Tensor W, int type, SymInt m, SymInt n, "
      "ScalarType? dtype) -> Tensor");
  ops.impl("ggml_dequantize", torch::kCPU, &ggml_dequantize_cpu);

  // Multiplies packed weights with activations that are rounded to 8 bits.
  ops.def(
      "ggml_mul_mat_vec_a8(Tensor W, Tensor X, int type, SymInt row) "
      "-> Tensor");
  ops.impl("ggml_mul_mat_vec_a8", torch::kCPU, &ggml_mul_mat_vec_a8_cpu);

  // Weights in one block of a format; the schema is that of the function.
  ops.def("ggml_moe_get_block_size", &ggml_moe_get_block_size);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("ggml_dequantize", torch::kCUDA, &ggml_dequantize);
  ops.impl("ggml_mul_mat_vec_a8", torch::kCUDA, &ggml_mul_mat_vec_a8);
#endif

  // Attention
  //
  // Merges the results of attention over two parts of a sequence, with the
  // weights that their log-sum-exps say.
  ops.def(
      "merge_attn_states("
      "    Tensor! output,"
      "    Tensor!? output_lse,"
      "    Tensor prefix_output,"
      "    Tensor prefix_lse,"
      "    Tensor suffix_output,"
      "    Tensor suffix_lse,"
      "    int? prefill_tokens_with_context,"
      "    Tensor? output_scale=None) -> ()");
  ops.impl("merge_attn_states", torch::kCPU, &merge_attn_states_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("merge_attn_states", torch::kCUDA, &merge_attn_states);
#endif

  // Samplers
  //
  // Makes tokens that were seen less likely, in place.
  ops.def(
      "apply_repetition_penalties_(Tensor! logits, Tensor prompt_mask, "
      "Tensor output_mask, Tensor repetition_penalties) -> ()");
  ops.impl("apply_repetition_penalties_", torch::kCPU,
           &apply_repetition_penalties_cpu_);

  // The indices of the largest logits of each row, in a range of their own.
  ops.def(
      "top_k_per_row_prefill(Tensor logits, Tensor rowStarts, Tensor rowEnds, "
      "Tensor! indices, int numRows, int stride0, "
      "int stride1, int topK) -> ()");
  ops.impl("top_k_per_row_prefill", torch::kCPU, &top_k_per_row_prefill_cpu);

  // The same for the next_n newest rows of each sequence.
  ops.def(
      "top_k_per_row_decode(Tensor logits, int next_n, "
      "Tensor seq_lens, Tensor! indices, "
      "int numRows, int stride0, int stride1, int topK) -> ()");
  ops.impl("top_k_per_row_decode", torch::kCPU, &top_k_per_row_decode_cpu);

  // The same for long rows: several blocks share one, through the workspace.
  ops.def(
      "persistent_topk(Tensor logits, Tensor lengths, Tensor! output, "
      "Tensor workspace, int k, int max_seq_len) -> ()");
  ops.impl("persistent_topk", torch::kCPU, &persistent_topk_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("apply_repetition_penalties_", torch::kCUDA,
           &apply_repetition_penalties_);
  ops.impl("top_k_per_row_prefill", torch::kCUDA, &top_k_per_row_prefill);
  ops.impl("top_k_per_row_decode", torch::kCUDA, &top_k_per_row_decode);
  ops.impl("persistent_topk", torch::kCUDA, &persistent_topk);
#endif

  // Mamba
  //
  // The selective scan: the result is in z where there is one, else in delta.
  ops.def(
      "selective_scan_fwd(Tensor! u, Tensor! delta,"
      "Tensor! A, Tensor! B, Tensor! C,"
      "Tensor? D_, Tensor!? z_, Tensor? delta_bias_,"
      "bool delta_softplus,"
      "Tensor? query_start_loc,"
      "Tensor? cache_indices,"
      "Tensor? has_initial_state,"
      "Tensor! ssm_states,"
      "int null_block_id,"
      "int block_size,"
      "Tensor? block_idx_first_scheduled_token,"
      "Tensor? block_idx_last_scheduled_token,"
      "Tensor? initial_state_idx,"
      "Tensor? cu_chunk_seqlen,"
      "Tensor? last_chunk_indices) -> ()");
  ops.impl("selective_scan_fwd", torch::kCPU, &selective_scan_fwd_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("selective_scan_fwd", torch::kCUDA, &selective_scan_fwd);
#endif

  // Attention of one token per sequence over a cache in pages.
  ops.def(
      "paged_attention_v1("
      "    Tensor! out, Tensor query, Tensor key_cache,"
      "    Tensor value_cache, int num_kv_heads, float scale,"
      "    Tensor block_tables, Tensor seq_lens, int block_size,"
      "    int max_seq_len, Tensor? alibi_slopes,"
      "    str kv_cache_dtype, Tensor k_scale, Tensor v_scale,"
      "    int tp_rank, int blocksparse_local_blocks,"
      "    int blocksparse_vert_stride, int blocksparse_block_size,"
      "    int blocksparse_head_sliding_step) -> ()");
  ops.impl("paged_attention_v1", torch::kCPU, &paged_attention_v1_cpu);

  // The same for long sequences: their parts are attended to side by side.
  ops.def(
      "paged_attention_v2("
      "    Tensor! out, Tensor! exp_sums, Tensor! max_logits,"
      "    Tensor! tmp_out, Tensor query, Tensor key_cache,"
      "    Tensor value_cache, int num_kv_heads, float scale,"
      "    Tensor block_tables, Tensor seq_lens, int block_size,"
      "    int max_seq_len, Tensor? alibi_slopes,"
      "    str kv_cache_dtype, Tensor k_scale, Tensor v_scale,"
      "    int tp_rank, int blocksparse_local_blocks,"
      "    int blocksparse_vert_stride, int blocksparse_block_size,"
      "    int blocksparse_head_sliding_step) -> ()");
  ops.impl("paged_attention_v2", torch::kCPU, &paged_attention_v2_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("paged_attention_v1", torch::kCUDA, &paged_attention_v1);
  ops.impl("paged_attention_v2", torch::kCUDA, &paged_attention_v2);
#endif

  // MXFP8 experts
  //
  // Quantises the rows of each expert, with a scale for every 32 elements.
  ops.def(
      "mxfp8_experts_quant("
      "    Tensor input, Tensor problem_sizes, Tensor expert_offsets,"
      "    Tensor blockscale_offsets, Tensor! quant_output,"
      "    Tensor! scale_factor) -> ()");
  ops.impl("mxfp8_experts_quant", torch::kCPU, &mxfp8_experts_quant_cpu);
  // The CUDA kernel is registered in its source, which not every build has.

  // Multiplies the rows of each expert with its weight.
  ops.def(
      "cutlass_mxfp8_grouped_mm("
      "    Tensor a, Tensor b, Tensor sfa, Tensor sfb, Tensor! out,"
      "    Tensor problem_sizes, Tensor expert_offsets,"
      "    Tensor blockscale_offsets) -> ()");
  ops.impl("cutlass_mxfp8_grouped_mm", torch::kCPU,
           &cutlass_mxfp8_grouped_mm_cpu);
  // The CUDA kernel is registered in its source, which not every build has.

  // MiniMax
  //
  // Root mean square normalisation of rows that are spread over ranks.
  ops.def(
      "minimax_allreduce_rms("
      "    Tensor input, Tensor norm_weight, Tensor workspace, int rank,"
      "    int nranks, float eps) -> Tensor");
  ops.impl("minimax_allreduce_rms", torch::kCPU, &minimax_allreduce_rms_cpu);

  // The same for query and key at once.
  ops.def(
      "minimax_allreduce_rms_qk("
      "    Tensor qkv, Tensor norm_weight_q, Tensor norm_weight_k,"
      "    Tensor workspace, int q_size, int kv_size, int rank, int nranks,"
      "    float eps) -> (Tensor, Tensor)");
  ops.impl("minimax_allreduce_rms_qk", torch::kCPU,
           &minimax_allreduce_rms_qk_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("minimax_allreduce_rms", torch::kCUDA, &minimax_allreduce_rms);
  ops.impl("minimax_allreduce_rms_qk", torch::kCUDA, &minimax_allreduce_rms_qk);
#endif

  // DeepSeek V4
  //
  // Normalises and rotates the query, whose heads may be padded; rotates the
  // key, quantises it and inserts it into the cache.
  ops.def(
      "fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert("
      "    Tensor q_in, Tensor kv, Tensor! k_cache, Tensor slot_mapping,"
      "    Tensor position_ids, Tensor cos_sin_cache, int q_head_padded,"
      "    float eps, int cache_block_size) -> Tensor");
  ops.impl("fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert", torch::kCPU,
           &fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert_cpu);

#ifdef SAMPLEX_WITH_CUDA
  ops.impl("fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert", torch::kCUDA,
           &fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert);
#endif

  // Multi-head latent attention of one new token for each sequence, over a
  // paged cache. All kernels are registered in their sources.
  ops.def(
      "sm100_cutlass_mla_decode(Tensor! out, Tensor! lse, Tensor q_nope,"
      "                         Tensor q_pe, Tensor kv_c_and_k_pe_cache,"
      "                         Tensor seq_lens, Tensor page_table,"
      "                         Tensor workspace, float scale,"
      "                         int num_kv_splits) -> ()");

  // Bytes of the workspace of a decoding.
  ops.def(
      "sm100_cutlass_mla_get_workspace_size(int max_seq_len, int num_batches,"
      "                                     int sm_count, int num_kv_splits) "
      "-> int");

  // Quantises keys and values to NVFP4 and stores them in their slots.
  ops.def(
      "reshape_and_cache_nvfp4(Tensor key, Tensor value, Tensor! key_cache,"
      "                        Tensor! value_cache, Tensor slot_mapping,"
      "                        Tensor k_scale, Tensor v_scale) -> ()");
  ops.impl("reshape_and_cache_nvfp4", torch::kCPU,
           &reshape_and_cache_nvfp4_cpu);
  // The CUDA kernel is registered in its source, which not every build has.
}

TORCH_LIBRARY_EXPAND(SAMPLEX_CONCAT(TORCH_EXTENSION_NAME, _cache_ops),
                     cache_ops) {
  // Blocks of one cache into another; block_mapping says which.
  cache_ops.def(
      "swap_blocks(Tensor src, Tensor! dst, int "
      "block_size_in_bytes, Tensor block_mapping) -> ()");
  cache_ops.impl("swap_blocks", torch::kCPU, &swap_blocks_cpu);

  // Any pieces of memory, by their addresses.
  cache_ops.def(
      "swap_blocks_batch(Tensor src_ptrs, Tensor dst_ptrs, Tensor "
      "sizes, bool is_src_access_order_any=False) -> ()");
  // Addresses come in tensors on the CPU, whatever they point to.
#ifdef SAMPLEX_WITH_CUDA
  cache_ops.impl("swap_blocks_batch", torch::kCPU, &swap_blocks_batch);
#else
  cache_ops.impl("swap_blocks_batch", torch::kCPU, &swap_blocks_batch_cpu);
#endif

  // Keys and values into the slots of their tokens, in pages for
  // paged_attention.
  cache_ops.def(
      "reshape_and_cache(Tensor key, Tensor value, Tensor! "
      "key_cache, Tensor! value_cache, Tensor slot_mapping, str "
      "kv_cache_dtype, Tensor k_scale, Tensor v_scale) -> ()");
  cache_ops.impl("reshape_and_cache", torch::kCPU, &reshape_and_cache_cpu);

  // The same with tokens in rows of heads.
  cache_ops.def(
      "reshape_and_cache_flash(Tensor key, Tensor value, Tensor! "
      "key_cache, Tensor! value_cache, Tensor slot_mapping, str "
      "kv_cache_dtype, Tensor k_scale, Tensor v_scale) -> ()");
  cache_ops.impl("reshape_and_cache_flash", torch::kCPU,
                 &reshape_and_cache_flash_cpu);

  // The latent and the rotated part of the key of MLA.
  cache_ops.def(
      "concat_and_cache_mla(Tensor kv_c, Tensor k_pe, Tensor! "
      "kv_cache, Tensor slot_mapping, str kv_cache_dtype, Tensor "
      "scale) -> ()");
  cache_ops.impl("concat_and_cache_mla", torch::kCPU,
                 &concat_and_cache_mla_cpu);

  // The same, with the rotary embedding of query and key done first.
  cache_ops.def(
      "concat_and_cache_mla_rope_fused(Tensor positions, Tensor! "
      "q_pe, Tensor! k_pe, Tensor kv_c, Tensor cos_sin_cache, bool "
      "is_neox, Tensor slot_mapping, Tensor! kv_cache, str "
      "kv_cache_dtype, Tensor kv_cache_scale) -> ()");
  cache_ops.impl("concat_and_cache_mla_rope_fused", torch::kCPU,
                 &concat_and_cache_mla_rope_fused_cpu);

  // A whole cache to fp8, or from it.
  cache_ops.def(
      "convert_fp8(Tensor! dst_cache, Tensor src_cache, float "
      "scale, str kv_cache_dtype) -> ()");
  cache_ops.impl("convert_fp8", torch::kCPU, &convert_fp8_cpu);

  // Entries of sequences one after another, as floats.
  cache_ops.def(
      "gather_and_maybe_dequant_cache(Tensor src_cache, Tensor! "
      "dst, Tensor block_table, Tensor cu_seq_lens, Tensor "
      "token_to_seq, int num_tokens, str kv_cache_dtype, Tensor "
      "scale, Tensor? seq_starts) -> ()");
  cache_ops.impl("gather_and_maybe_dequant_cache", torch::kCPU,
                 &gather_and_maybe_dequant_cache_cpu);

  // The same as they are.
  cache_ops.def(
      "cp_gather_cache(Tensor src_cache, Tensor! dst, Tensor "
      "block_table, Tensor cu_seq_lens, int batch_size, Tensor? "
      "seq_starts) -> ()");
  cache_ops.impl("cp_gather_cache", torch::kCPU, &cp_gather_cache_cpu);

  // The same of the sparse MLA cache, in bfloat16.
  cache_ops.def(
      "cp_gather_and_upconvert_fp8_kv_cache(Tensor src_cache, "
      "Tensor! dst, Tensor block_table, Tensor seq_lens, Tensor "
      "workspace_starts, int batch_size) -> ()");
  cache_ops.impl("cp_gather_and_upconvert_fp8_kv_cache", torch::kCPU,
                 &cp_gather_and_upconvert_fp8_kv_cache_cpu);

  // Keys of the indexer, in fp8 with a scale for each block of elements.
  cache_ops.def(
      "indexer_k_quant_and_cache(Tensor k, Tensor! kv_cache, Tensor "
      "slot_mapping, int quant_block_size, str kv_cache_dtype) -> "
      "()");
  cache_ops.impl("indexer_k_quant_and_cache", torch::kCPU,
                 &indexer_k_quant_and_cache_cpu);

  // The two parts of a query of MLA side by side.
  cache_ops.def(
      "concat_mla_q(Tensor ql_nope, Tensor q_pe, Tensor! q_out) -> "
      "()");
  cache_ops.impl("concat_mla_q", torch::kCPU, &concat_mla_q_cpu);

#ifdef SAMPLEX_WITH_CUDA
  cache_ops.impl("swap_blocks", torch::kCUDA, &swap_blocks);
  cache_ops.impl("reshape_and_cache", torch::kCUDA, &reshape_and_cache);
  cache_ops.impl("reshape_and_cache_flash", torch::kCUDA,
                 &reshape_and_cache_flash);
  cache_ops.impl("concat_and_cache_mla", torch::kCUDA, &concat_and_cache_mla);
  cache_ops.impl("concat_and_cache_mla_rope_fused", torch::kCUDA,
                 &concat_and_cache_mla_rope_fused);
  cache_ops.impl("convert_fp8", torch::kCUDA, &convert_fp8);
  cache_ops.impl("gather_and_maybe_dequant_cache", torch::kCUDA,
                 &gather_and_maybe_dequant_cache);
  cache_ops.impl("cp_gather_cache", torch::kCUDA, &cp_gather_cache);
  cache_ops.impl("cp_gather_and_upconvert_fp8_kv_cache", torch::kCUDA,
                 &cp_gather_and_upconvert_fp8_kv_cache);
  cache_ops.impl("indexer_k_quant_and_cache", torch::kCUDA,
                 &indexer_k_quant_and_cache);
  cache_ops.impl("concat_mla_q", torch::kCUDA, &concat_mla_q);
#endif
}

TORCH_LIBRARY_EXPAND(SAMPLEX_CONCAT(TORCH_EXTENSION_NAME, _cuda_utils),
                     cuda_utils) {
  // What the CUDA runtime says of a device; -1 is the current one.
  cuda_utils.def("get_device_attribute(int attribute, int device_id) -> int");
  cuda_utils.impl("get_device_attribute", &get_device_attribute);

  // Shared memory in bytes that a block can opt in to.
  cuda_utils.def(
      "get_max_shared_memory_per_block_device_attribute(int device_id) -> int");
  cuda_utils.impl("get_max_shared_memory_per_block_device_attribute",
                  &get_max_shared_memory_per_block_device_attribute);
}

// All-reduce within one host, in a namespace of its own.
TORCH_LIBRARY_EXPAND(SAMPLEX_CONCAT(TORCH_EXTENSION_NAME, _custom_ar),
                     custom_ar) {
  // Joins the ranks whose flags stand at these addresses.
  custom_ar.def(
      "init_custom_ar(int[] ipc_tensors, Tensor rank_data, int rank, "
      "bool fully_connected) -> int");
  custom_ar.impl("init_custom_ar", torch::kCPU, &init_custom_ar_cpu);

  // Adds up the inputs of all ranks.
  custom_ar.def(
      "all_reduce(int fa, Tensor inp, Tensor! out, int reg_buffer, "
      "int reg_buffer_sz_bytes) -> ()");
  custom_ar.impl("all_reduce", torch::kCPU, &all_reduce_cpu);

  // These have no tensor that would choose a device.
  custom_ar.def("dispose", &dispose);
  custom_ar.def("meta_size", &meta_size);
  custom_ar.def("register_buffer", &register_buffer);
  custom_ar.def("get_graph_buffer_ipc_meta", &get_graph_buffer_ipc_meta);
  custom_ar.def("register_graph_buffers", &register_graph_buffers);

#ifdef SAMPLEX_WITH_CUDA
  custom_ar.impl("init_custom_ar", torch::kCUDA, &init_custom_ar);
  custom_ar.impl("all_reduce", torch::kCUDA, &all_reduce);

  // Memory of the GPU that other processes can open by its handle, which is a
  // tensor on the CPU.
  custom_ar.def("allocate_shared_buffer_and_handle",
                &allocate_shared_buffer_and_handle);
  custom_ar.def("open_mem_handle(Tensor mem_handle) -> int");
  custom_ar.impl("open_mem_handle", torch::kCPU, &open_mem_handle);
  custom_ar.def("free_shared_buffer", &free_shared_buffer);
#endif

#ifdef USE_ROCM
  // Quick reduce sends 8 bits for each element.
  custom_ar.def("init_custom_qr", &init_custom_qr);
  custom_ar.def("qr_get_handle", &qr_get_handle);
  custom_ar.def("qr_open_handles(int _fa, Tensor[] handles) -> ()");
  custom_ar.impl("qr_open_handles", torch::kCPU, &qr_open_handles);
  custom_ar.def("qr_all_reduce(int fa, Tensor inp, Tensor! out) -> ()");
  custom_ar.impl("qr_all_reduce", torch::kCUDA, &qr_all_reduce);
  custom_ar.def("qr_destroy", &qr_destroy);
  custom_ar.def("qr_max_size", &qr_max_size);
#endif
}

REGISTER_EXTENSION(TORCH_EXTENSION_NAME)
