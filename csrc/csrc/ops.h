#pragma once

#include <torch/types.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

// Activations. The gated ones read [..., 2 * d] and write [..., d].
void silu_and_mul(torch::Tensor& out, const torch::Tensor& input);

void silu_and_mul_clamp(torch::Tensor& out, const torch::Tensor& input,
                        double limit);

void mul_and_silu(torch::Tensor& out, const torch::Tensor& input);

void gelu_and_mul(torch::Tensor& out, const torch::Tensor& input);

void gelu_tanh_and_mul(torch::Tensor& out, const torch::Tensor& input);

void fatrelu_and_mul(torch::Tensor& out, const torch::Tensor& input,
                     double threshold);

void gelu_new(torch::Tensor& out, const torch::Tensor& input);

void gelu_fast(torch::Tensor& out, const torch::Tensor& input);

void gelu_quick(torch::Tensor& out, const torch::Tensor& input);

void silu_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input);

void silu_and_mul_clamp_cpu(torch::Tensor& out, const torch::Tensor& input,
                            double limit);

void mul_and_silu_cpu(torch::Tensor& out, const torch::Tensor& input);

void gelu_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input);

void gelu_tanh_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input);

void fatrelu_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input,
                         double threshold);

void gelu_new_cpu(torch::Tensor& out, const torch::Tensor& input);

void gelu_fast_cpu(torch::Tensor& out, const torch::Tensor& input);

void gelu_quick_cpu(torch::Tensor& out, const torch::Tensor& input);

// Layer normalisation
void rms_norm(torch::Tensor& out, const torch::Tensor& input,
              const torch::Tensor& weight, double epsilon);

void fused_add_rms_norm(torch::Tensor& input, torch::Tensor& residual,
                        const torch::Tensor& weight, double epsilon);

void rms_norm_cpu(torch::Tensor& out, const torch::Tensor& input,
                  const torch::Tensor& weight, double epsilon);

void fused_add_rms_norm_cpu(torch::Tensor& input, torch::Tensor& residual,
                            const torch::Tensor& weight, double epsilon);

// AWQ
torch::Tensor awq_dequantize(const torch::Tensor& kernel,
                             const torch::Tensor& scaling_factors,
                             const torch::Tensor& zeros, int64_t split_k_iters,
                             int64_t thx, int64_t thy);

torch::Tensor awq_gemm(const torch::Tensor& in_feats,
                       const torch::Tensor& kernel,
                       const torch::Tensor& scaling_factors,
                       const torch::Tensor& zeros, int64_t split_k_iters);

torch::Tensor awq_dequantize_cpu(const torch::Tensor& kernel,
                                 const torch::Tensor& scaling_factors,
                                 const torch::Tensor& zeros,
                                 int64_t split_k_iters, int64_t thx,
                                 int64_t thy);

torch::Tensor awq_gemm_cpu(const torch::Tensor& in_feats,
                           const torch::Tensor& kernel,
                           const torch::Tensor& scaling_factors,
                           const torch::Tensor& zeros, int64_t split_k_iters);

// AllSpark
void rearrange_kn_weight_as_n32k16_order_cpu(
    const torch::Tensor& b_qweight, const torch::Tensor& b_scales,
    const std::optional<torch::Tensor>& b_zeros, bool has_zp,
    torch::Tensor& b_qweight_reorder, torch::Tensor& b_scales_reorder,
    const std::optional<torch::Tensor>& b_zeros_reorder, int64_t K, int64_t N,
    int64_t N_32align);

torch::Tensor allspark_w8a16_gemm_cpu(
    const torch::Tensor& a, const torch::Tensor& b_qweight,
    const torch::Tensor& b_scales, const std::optional<torch::Tensor>& b_qzeros,
    int64_t n, int64_t group_size, int64_t sm_count, int64_t sm_version,
    int64_t CUBLAS_M_THRESHOLD, bool has_zp, bool n32k16_reorder);

// Hadamard transform
torch::Tensor hadacore_transform_cpu(torch::Tensor& x, bool inplace);

// DeepSeek V3
void dsv3_fused_a_gemm_cpu(torch::Tensor& output, const torch::Tensor& mat_a,
                           const torch::Tensor& mat_b);

// Quantisation of activations to 8 bits
void static_scaled_int8_quant(torch::Tensor& out, const torch::Tensor& input,
                              const torch::Tensor& scale,
                              const std::optional<torch::Tensor>& azp);

void dynamic_scaled_int8_quant(torch::Tensor& out, const torch::Tensor& input,
                               torch::Tensor& scales,
                               const std::optional<torch::Tensor>& azp);

void static_scaled_fp8_quant(
    torch::Tensor& out, const torch::Tensor& input, const torch::Tensor& scale,
    const std::optional<std::vector<int64_t>>& group_shape);

void dynamic_scaled_fp8_quant(torch::Tensor& out, const torch::Tensor& input,
                              torch::Tensor& scale);

void dynamic_per_token_scaled_fp8_quant(
    torch::Tensor& out, const torch::Tensor& input, torch::Tensor& scales,
    const std::optional<torch::Tensor>& scale_ub);

void static_scaled_int8_quant_cpu(torch::Tensor& out,
                                  const torch::Tensor& input,
                                  const torch::Tensor& scale,
                                  const std::optional<torch::Tensor>& azp);

void dynamic_scaled_int8_quant_cpu(torch::Tensor& out,
                                   const torch::Tensor& input,
                                   torch::Tensor& scales,
                                   const std::optional<torch::Tensor>& azp);

void static_scaled_fp8_quant_cpu(
    torch::Tensor& out, const torch::Tensor& input, const torch::Tensor& scale,
    const std::optional<std::vector<int64_t>>& group_shape);

void dynamic_scaled_fp8_quant_cpu(torch::Tensor& out,
                                  const torch::Tensor& input,
                                  torch::Tensor& scale);

void dynamic_per_token_scaled_fp8_quant_cpu(
    torch::Tensor& out, const torch::Tensor& input, torch::Tensor& scales,
    const std::optional<torch::Tensor>& scale_ub);

// GPTQ
torch::Tensor gptq_gemm(torch::Tensor a, torch::Tensor b_q_weight,
                        torch::Tensor b_gptq_qzeros,
                        torch::Tensor b_gptq_scales, torch::Tensor b_g_idx,
                        bool use_exllama, bool use_v2_format, int64_t bit);

void gptq_shuffle(torch::Tensor q_weight, torch::Tensor q_perm, int64_t bit);

torch::Tensor gptq_gemm_cpu(torch::Tensor a, torch::Tensor b_q_weight,
                            torch::Tensor b_gptq_qzeros,
                            torch::Tensor b_gptq_scales, torch::Tensor b_g_idx,
                            bool use_exllama, bool use_v2_format, int64_t bit);

void gptq_shuffle_cpu(torch::Tensor q_weight, torch::Tensor q_perm,
                      int64_t bit);

// GGUF
torch::Tensor ggml_dequantize(torch::Tensor W, int64_t type, int64_t m,
                              int64_t n,
                              const std::optional<at::ScalarType>& dtype);

torch::Tensor ggml_mul_mat_vec_a8(torch::Tensor W, torch::Tensor X,
                                  int64_t type, int64_t row);

torch::Tensor ggml_dequantize_cpu(torch::Tensor W, int64_t type, int64_t m,
                                  int64_t n,
                                  const std::optional<at::ScalarType>& dtype);

torch::Tensor ggml_mul_mat_vec_a8_cpu(torch::Tensor W, torch::Tensor X,
                                      int64_t type, int64_t row);

int64_t ggml_moe_get_block_size(int64_t type);

// Attention
void merge_attn_states(torch::Tensor& output,
                       std::optional<torch::Tensor> output_lse,
                       const torch::Tensor& prefix_output,
                       const torch::Tensor& prefix_lse,
                       const torch::Tensor& suffix_output,
                       const torch::Tensor& suffix_lse,
                       const std::optional<int64_t> prefill_tokens_with_context,
                       const std::optional<torch::Tensor>& output_scale);

void merge_attn_states_cpu(
    torch::Tensor& output, std::optional<torch::Tensor> output_lse,
    const torch::Tensor& prefix_output, const torch::Tensor& prefix_lse,
    const torch::Tensor& suffix_output, const torch::Tensor& suffix_lse,
    const std::optional<int64_t> prefill_tokens_with_context,
    const std::optional<torch::Tensor>& output_scale);

// Samplers
void apply_repetition_penalties_(torch::Tensor& logits,
                                 const torch::Tensor& prompt_mask,
                                 const torch::Tensor& output_mask,
                                 const torch::Tensor& repetition_penalties);

void top_k_per_row_prefill(const torch::Tensor& logits,
                           const torch::Tensor& rowStarts,
                           const torch::Tensor& rowEnds, torch::Tensor& indices,
                           int64_t numRows, int64_t stride0, int64_t stride1,
                           int64_t topK);

void top_k_per_row_decode(const torch::Tensor& logits, int64_t next_n,
                          const torch::Tensor& seq_lens, torch::Tensor& indices,
                          int64_t numRows, int64_t stride0, int64_t stride1,
                          int64_t topK);

void persistent_topk(const torch::Tensor& logits, const torch::Tensor& lengths,
                     torch::Tensor& output, torch::Tensor& workspace, int64_t k,
                     int64_t max_seq_len);

void apply_repetition_penalties_cpu_(torch::Tensor& logits,
                                     const torch::Tensor& prompt_mask,
                                     const torch::Tensor& output_mask,
                                     const torch::Tensor& repetition_penalties);

void top_k_per_row_prefill_cpu(const torch::Tensor& logits,
                               const torch::Tensor& rowStarts,
                               const torch::Tensor& rowEnds,
                               torch::Tensor& indices, int64_t numRows,
                               int64_t stride0, int64_t stride1, int64_t topK);

void top_k_per_row_decode_cpu(const torch::Tensor& logits, int64_t next_n,
                              const torch::Tensor& seq_lens,
                              torch::Tensor& indices, int64_t numRows,
                              int64_t stride0, int64_t stride1, int64_t topK);

void persistent_topk_cpu(const torch::Tensor& logits,
                         const torch::Tensor& lengths, torch::Tensor& output,
                         torch::Tensor& workspace, int64_t k,
                         int64_t max_seq_len);

// Mamba
void selective_scan_fwd(
    const torch::Tensor& u, const torch::Tensor& delta, const torch::Tensor& A,
    const torch::Tensor& B, const torch::Tensor& C,
    const std::optional<torch::Tensor>& D_,
    const std::optional<torch::Tensor>& z_,
    const std::optional<torch::Tensor>& delta_bias_, bool delta_softplus,
    const std::optional<torch::Tensor>& query_start_loc,
    const std::optional<torch::Tensor>& cache_indices,
    const std::optional<torch::Tensor>& has_initial_state,
    const torch::Tensor& ssm_states, int64_t null_block_id, int64_t block_size,
    const std::optional<torch::Tensor>& block_idx_first_scheduled_token,
    const std::optional<torch::Tensor>& block_idx_last_scheduled_token,
    const std::optional<torch::Tensor>& initial_state_idx,
    const std::optional<torch::Tensor>& cu_chunk_seqlen,
    const std::optional<torch::Tensor>& last_chunk_indices);

void selective_scan_fwd_cpu(
    const torch::Tensor& u, const torch::Tensor& delta, const torch::Tensor& A,
    const torch::Tensor& B, const torch::Tensor& C,
    const std::optional<torch::Tensor>& D_,
    const std::optional<torch::Tensor>& z_,
    const std::optional<torch::Tensor>& delta_bias_, bool delta_softplus,
    const std::optional<torch::Tensor>& query_start_loc,
    const std::optional<torch::Tensor>& cache_indices,
    const std::optional<torch::Tensor>& has_initial_state,
    const torch::Tensor& ssm_states, int64_t null_block_id, int64_t block_size,
    const std::optional<torch::Tensor>& block_idx_first_scheduled_token,
    const std::optional<torch::Tensor>& block_idx_last_scheduled_token,
    const std::optional<torch::Tensor>& initial_state_idx,
    const std::optional<torch::Tensor>& cu_chunk_seqlen,
    const std::optional<torch::Tensor>& last_chunk_indices);

// Paged attention
void paged_attention_v1(
    torch::Tensor& out, torch::Tensor& query, torch::Tensor& key_cache,
    torch::Tensor& value_cache, int64_t num_kv_heads, double scale,
    torch::Tensor& block_tables, torch::Tensor& seq_lens, int64_t block_size,
    int64_t max_seq_len, const std::optional<torch::Tensor>& alibi_slopes,
    const std::string& kv_cache_dtype, torch::Tensor& k_scale,
    torch::Tensor& v_scale, const int64_t tp_rank,
    const int64_t blocksparse_local_blocks,
    const int64_t blocksparse_vert_stride, const int64_t blocksparse_block_size,
    const int64_t blocksparse_head_sliding_step);

void paged_attention_v2(
    torch::Tensor& out, torch::Tensor& exp_sums, torch::Tensor& max_logits,
    torch::Tensor& tmp_out, torch::Tensor& query, torch::Tensor& key_cache,
    torch::Tensor& value_cache, int64_t num_kv_heads, double scale,
    torch::Tensor& block_tables, torch::Tensor& seq_lens, int64_t block_size,
    int64_t max_seq_len, const std::optional<torch::Tensor>& alibi_slopes,
    const std::string& kv_cache_dtype, torch::Tensor& k_scale,
    torch::Tensor& v_scale, const int64_t tp_rank,
    const int64_t blocksparse_local_blocks,
    const int64_t blocksparse_vert_stride, const int64_t blocksparse_block_size,
    const int64_t blocksparse_head_sliding_step);

void paged_attention_v1_cpu(
    torch::Tensor& out, torch::Tensor& query, torch::Tensor& key_cache,
    torch::Tensor& value_cache, int64_t num_kv_heads, double scale,
    torch::Tensor& block_tables, torch::Tensor& seq_lens, int64_t block_size,
    int64_t max_seq_len, const std::optional<torch::Tensor>& alibi_slopes,
    const std::string& kv_cache_dtype, torch::Tensor& k_scale,
    torch::Tensor& v_scale, const int64_t tp_rank,
    const int64_t blocksparse_local_blocks,
    const int64_t blocksparse_vert_stride, const int64_t blocksparse_block_size,
    const int64_t blocksparse_head_sliding_step);

void paged_attention_v2_cpu(
    torch::Tensor& out, torch::Tensor& exp_sums, torch::Tensor& max_logits,
    torch::Tensor& tmp_out, torch::Tensor& query, torch::Tensor& key_cache,
    torch::Tensor& value_cache, int64_t num_kv_heads, double scale,
    torch::Tensor& block_tables, torch::Tensor& seq_lens, int64_t block_size,
    int64_t max_seq_len, const std::optional<torch::Tensor>& alibi_slopes,
    const std::string& kv_cache_dtype, torch::Tensor& k_scale,
    torch::Tensor& v_scale, const int64_t tp_rank,
    const int64_t blocksparse_local_blocks,
    const int64_t blocksparse_vert_stride, const int64_t blocksparse_block_size,
    const int64_t blocksparse_head_sliding_step);

// MXFP8 experts; the CUDA kernels are registered in their sources.
void mxfp8_experts_quant_cpu(const torch::Tensor& input,
                             const torch::Tensor& problem_sizes,
                             const torch::Tensor& expert_offsets,
                             const torch::Tensor& blockscale_offsets,
                             torch::Tensor& quant_output,
                             torch::Tensor& scale_factor);

void cutlass_mxfp8_grouped_mm_cpu(const torch::Tensor& a,
                                  const torch::Tensor& b,
                                  const torch::Tensor& sfa,
                                  const torch::Tensor& sfb, torch::Tensor& out,
                                  const torch::Tensor& problem_sizes,
                                  const torch::Tensor& expert_offsets,
                                  const torch::Tensor& blockscale_offsets);

// MiniMax
torch::Tensor minimax_allreduce_rms(torch::Tensor const& input,
                                    torch::Tensor const& norm_weight,
                                    torch::Tensor workspace, int64_t const rank,
                                    int64_t const nranks, double const eps);

std::tuple<torch::Tensor, torch::Tensor> minimax_allreduce_rms_qk(
    torch::Tensor qkv, torch::Tensor const& norm_weight_q,
    torch::Tensor const& norm_weight_k, torch::Tensor workspace,
    int64_t const q_size, int64_t const kv_size, int64_t const rank,
    int64_t const nranks, double const eps);

torch::Tensor minimax_allreduce_rms_cpu(torch::Tensor const& input,
                                        torch::Tensor const& norm_weight,
                                        torch::Tensor workspace,
                                        int64_t const rank,
                                        int64_t const nranks, double const eps);

std::tuple<torch::Tensor, torch::Tensor> minimax_allreduce_rms_qk_cpu(
    torch::Tensor qkv, torch::Tensor const& norm_weight_q,
    torch::Tensor const& norm_weight_k, torch::Tensor workspace,
    int64_t const q_size, int64_t const kv_size, int64_t const rank,
    int64_t const nranks, double const eps);

// DeepSeek V4
torch::Tensor fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert(
    torch::Tensor const& q_in, torch::Tensor const& kv, torch::Tensor& k_cache,
    torch::Tensor const& slot_mapping, torch::Tensor const& position_ids,
    torch::Tensor const& cos_sin_cache, int64_t q_head_padded, double eps,
    int64_t cache_block_size);

torch::Tensor fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert_cpu(
    torch::Tensor const& q_in, torch::Tensor const& kv, torch::Tensor& k_cache,
    torch::Tensor const& slot_mapping, torch::Tensor const& position_ids,
    torch::Tensor const& cos_sin_cache, int64_t q_head_padded, double eps,
    int64_t cache_block_size);

// Cache in NVFP4; the CUDA kernel is registered in its source.
void reshape_and_cache_nvfp4_cpu(torch::Tensor& key, torch::Tensor& value,
                                 torch::Tensor& key_cache,
                                 torch::Tensor& value_cache,
                                 torch::Tensor& slot_mapping,
                                 torch::Tensor& k_scale,
                                 torch::Tensor& v_scale);

// Custom all-reduce. Addresses and objects pass through Python as integers.
using fptr_t = int64_t;
static_assert(sizeof(void*) == sizeof(fptr_t));

fptr_t init_custom_ar(const std::vector<fptr_t>& ipc_tensors,
                      torch::Tensor& rank_data, int64_t rank,
                      bool fully_connected);

void all_reduce(fptr_t fa, torch::Tensor& inp, torch::Tensor& out,
                fptr_t reg_buffer, int64_t reg_buffer_sz_bytes);

fptr_t init_custom_ar_cpu(const std::vector<fptr_t>& ipc_tensors,
                          torch::Tensor& rank_data, int64_t rank,
                          bool fully_connected);

void all_reduce_cpu(fptr_t fa, torch::Tensor& inp, torch::Tensor& out,
                    fptr_t reg_buffer, int64_t reg_buffer_sz_bytes);

void dispose(fptr_t fa);

int64_t meta_size();

void register_buffer(fptr_t fa, const std::vector<fptr_t>& ipc_tensors);

std::tuple<std::vector<int64_t>, std::vector<int64_t>>
get_graph_buffer_ipc_meta(fptr_t fa);

void register_graph_buffers(fptr_t fa,
                            const std::vector<std::vector<int64_t>>& handles,
                            const std::vector<std::vector<int64_t>>& offsets);

std::tuple<fptr_t, torch::Tensor> allocate_shared_buffer_and_handle(
    int64_t size);

fptr_t open_mem_handle(torch::Tensor& mem_handle);

void free_shared_buffer(fptr_t buffer);

#ifdef USE_ROCM
fptr_t init_custom_qr(int64_t rank, int64_t world_size);

torch::Tensor qr_get_handle(fptr_t fa);

void qr_open_handles(fptr_t fa, const std::vector<torch::Tensor>& handles);

void qr_all_reduce(fptr_t fa, torch::Tensor& inp, torch::Tensor& out);

void qr_destroy(fptr_t fa);

int64_t qr_max_size();
#endif
