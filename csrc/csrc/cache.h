// Operations on caches of keys and values.
#pragma once

#include <torch/types.h>

#include <optional>
#include <string>

void swap_blocks(torch::Tensor& src, torch::Tensor& dst,
                 int64_t block_size_in_bytes,
                 const torch::Tensor& block_mapping);

void swap_blocks_batch(const torch::Tensor& src_ptrs,
                       const torch::Tensor& dst_ptrs,
                       const torch::Tensor& sizes,
                       bool is_src_access_order_any);

void reshape_and_cache(torch::Tensor& key, torch::Tensor& value,
                       torch::Tensor& key_cache, torch::Tensor& value_cache,
                       torch::Tensor& slot_mapping,
                       const std::string& kv_cache_dtype,
                       torch::Tensor& k_scale, torch::Tensor& v_scale);

void reshape_and_cache_flash(torch::Tensor& key, torch::Tensor& value,
                             torch::Tensor& key_cache,
                             torch::Tensor& value_cache,
                             torch::Tensor& slot_mapping,
                             const std::string& kv_cache_dtype,
                             torch::Tensor& k_scale, torch::Tensor& v_scale);

void concat_and_cache_mla(torch::Tensor& kv_c, torch::Tensor& k_pe,
                          torch::Tensor& kv_cache, torch::Tensor& slot_mapping,
                          const std::string& kv_cache_dtype,
                          torch::Tensor& scale);

void concat_and_cache_mla_rope_fused(
    torch::Tensor& positions, torch::Tensor& q_pe, torch::Tensor& k_pe,
    torch::Tensor& kv_c, torch::Tensor& cos_sin_cache, bool is_neox,
    torch::Tensor& slot_mapping, torch::Tensor& kv_cache,
    const std::string& kv_cache_dtype, torch::Tensor& kv_cache_scale);

void convert_fp8(torch::Tensor& dst_cache, torch::Tensor& src_cache,
                 const double scale, const std::string& kv_cache_dtype);

void gather_and_maybe_dequant_cache(
    const torch::Tensor& src_cache, const torch::Tensor& dst,
    const torch::Tensor& block_table, const torch::Tensor& cu_seq_lens,
    const torch::Tensor& token_to_seq, int64_t num_tokens,
    const std::string& kv_cache_dtype, const torch::Tensor& scale,
    std::optional<torch::Tensor> seq_starts);

void cp_gather_cache(const torch::Tensor& src_cache, const torch::Tensor& dst,
                     const torch::Tensor& block_table,
                     const torch::Tensor& cu_seq_lens, int64_t batch_size,
                     std::optional<torch::Tensor> seq_starts);

void cp_gather_and_upconvert_fp8_kv_cache(const torch::Tensor& src_cache,
                                          const torch::Tensor& dst,
                                          const torch::Tensor& block_table,
                                          const torch::Tensor& seq_lens,
                                          const torch::Tensor& workspace_starts,
                                          int64_t batch_size);

void indexer_k_quant_and_cache(torch::Tensor& k, torch::Tensor& kv_cache,
                               torch::Tensor& slot_mapping,
                               int64_t quant_block_size,
                               const std::string& scale_fmt);

void concat_mla_q(torch::Tensor& ql_nope, torch::Tensor& q_pe,
                  torch::Tensor& q_out);

void swap_blocks_cpu(torch::Tensor& src, torch::Tensor& dst,
                     int64_t block_size_in_bytes,
                     const torch::Tensor& block_mapping);

void swap_blocks_batch_cpu(const torch::Tensor& src_ptrs,
                           const torch::Tensor& dst_ptrs,
                           const torch::Tensor& sizes,
                           bool is_src_access_order_any);

void reshape_and_cache_cpu(torch::Tensor& key, torch::Tensor& value,
                           torch::Tensor& key_cache, torch::Tensor& value_cache,
                           torch::Tensor& slot_mapping,
                           const std::string& kv_cache_dtype,
                           torch::Tensor& k_scale, torch::Tensor& v_scale);

void reshape_and_cache_flash_cpu(torch::Tensor& key, torch::Tensor& value,
                                 torch::Tensor& key_cache,
                                 torch::Tensor& value_cache,
                                 torch::Tensor& slot_mapping,
                                 const std::string& kv_cache_dtype,
                                 torch::Tensor& k_scale,
                                 torch::Tensor& v_scale);

void concat_and_cache_mla_cpu(torch::Tensor& kv_c, torch::Tensor& k_pe,
                              torch::Tensor& kv_cache,
                              torch::Tensor& slot_mapping,
                              const std::string& kv_cache_dtype,
                              torch::Tensor& scale);

void concat_and_cache_mla_rope_fused_cpu(
    torch::Tensor& positions, torch::Tensor& q_pe, torch::Tensor& k_pe,
    torch::Tensor& kv_c, torch::Tensor& cos_sin_cache, bool is_neox,
    torch::Tensor& slot_mapping, torch::Tensor& kv_cache,
    const std::string& kv_cache_dtype, torch::Tensor& kv_cache_scale);

void convert_fp8_cpu(torch::Tensor& dst_cache, torch::Tensor& src_cache,
                     const double scale, const std::string& kv_cache_dtype);

void gather_and_maybe_dequant_cache_cpu(
    const torch::Tensor& src_cache, const torch::Tensor& dst,
    const torch::Tensor& block_table, const torch::Tensor& cu_seq_lens,
    const torch::Tensor& token_to_seq, int64_t num_tokens,
    const std::string& kv_cache_dtype, const torch::Tensor& scale,
    std::optional<torch::Tensor> seq_starts);

void cp_gather_cache_cpu(const torch::Tensor& src_cache,
                         const torch::Tensor& dst,
                         const torch::Tensor& block_table,
                         const torch::Tensor& cu_seq_lens, int64_t batch_size,
                         std::optional<torch::Tensor> seq_starts);

void cp_gather_and_upconvert_fp8_kv_cache_cpu(
    const torch::Tensor& src_cache, const torch::Tensor& dst,
    const torch::Tensor& block_table, const torch::Tensor& seq_lens,
    const torch::Tensor& workspace_starts, int64_t batch_size);

void indexer_k_quant_and_cache_cpu(torch::Tensor& k, torch::Tensor& kv_cache,
                                   torch::Tensor& slot_mapping,
                                   int64_t quant_block_size,
                                   const std::string& scale_fmt);

void concat_mla_q_cpu(torch::Tensor& ql_nope, torch::Tensor& q_pe,
                      torch::Tensor& q_out);
