// What the CPU and the CUDA kernels of mla demand, and how large their
// workspace is.
#pragma once

#include <torch/types.h>

#include <algorithm>

#include "../../check_utils.h"

namespace samplex {

constexpr int64_t kMlaMaxHeads = 128;
constexpr int64_t kMlaMaxLatent = 512;

// How many parts the keys of a sequence are split into, so that every
// multiprocessor has work; a positive wish is granted.
inline int64_t mla_splits(int64_t max_seq_len, int64_t num_batches,
                          int64_t sm_count, int64_t num_kv_splits) {
  constexpr int64_t kKeysPerSplit = 512;
  if (num_kv_splits > 0) return num_kv_splits;
  const int64_t useful = (max_seq_len + kKeysPerSplit - 1) / kKeysPerSplit;
  const int64_t idle = sm_count / std::max<int64_t>(1, num_batches);
  return std::max<int64_t>(1, std::min(useful, idle));
}

// Every split but a single one leaves its result and its log-sum-exp.
inline int64_t mla_workspace_size(int64_t splits, int64_t num_batches) {
  const int64_t rows = splits * num_batches * kMlaMaxHeads;
  return splits == 1 ? 0 : rows * (kMlaMaxLatent + 1) * sizeof(float);
}

// q_nope: [batch, heads, latent]; q_pe: [batch, heads, rope];
// kv_c_and_k_pe_cache: [pages, page_size, latent + rope]; seq_lens: [batch];
// page_table: [batch, pages of a sequence]; out: as q_nope; lse: [batch,
// heads].
inline void check_mla_decode(torch::Tensor const& out, torch::Tensor const& lse,
                             torch::Tensor const& q_nope,
                             torch::Tensor const& q_pe,
                             torch::Tensor const& kv_c_and_k_pe_cache,
                             torch::Tensor const& seq_lens,
                             torch::Tensor const& page_table) {
  CHECK_DIM(q_nope, 3);
  CHECK_DIM(q_pe, 3);
  CHECK_DIM(kv_c_and_k_pe_cache, 3);
  CHECK_DIM(page_table, 2);
  CHECK_SAME_DTYPE(q_nope, q_pe);
  CHECK_SAME_DTYPE(q_nope, kv_c_and_k_pe_cache);
  CHECK_SAME_DTYPE(q_nope, out);
  CHECK_DTYPE(lse, at::ScalarType::Float);
  CHECK_DTYPE(seq_lens, at::ScalarType::Int);
  CHECK_DTYPE(page_table, at::ScalarType::Int);
  const int64_t batch = q_nope.size(0);
  TORCH_CHECK(q_nope.size(1) <= kMlaMaxHeads, "there may be up to ",
              kMlaMaxHeads, " heads, got ", q_nope.size(1));
  TORCH_CHECK(q_nope.size(2) <= kMlaMaxLatent, "the latent may have up to ",
              kMlaMaxLatent, " elements, got ", q_nope.size(2));
  TORCH_CHECK(q_pe.size(0) == batch && q_pe.size(1) == q_nope.size(1),
              "q_pe must have the tokens and heads of q_nope");
  TORCH_CHECK(out.sizes() == q_nope.sizes(), "out must be as q_nope");
  TORCH_CHECK(lse.numel() == batch * q_nope.size(1),
              "lse must have one element for each token and head");
  TORCH_CHECK(kv_c_and_k_pe_cache.size(2) == q_nope.size(2) + q_pe.size(2),
              "a row of the cache must have ", q_nope.size(2) + q_pe.size(2),
              " elements, got ", kv_c_and_k_pe_cache.size(2));
  TORCH_CHECK(seq_lens.numel() == batch && page_table.size(0) == batch,
              "seq_lens and page_table must have a row for each of the ", batch,
              " sequences");
  TORCH_CHECK(q_nope.stride(2) == 1 && q_pe.stride(2) == 1,
              "the elements of a head must be in a row");
  CHECK_CONTIGUOUS(kv_c_and_k_pe_cache);
  CHECK_CONTIGUOUS(seq_lens);
  CHECK_CONTIGUOUS(page_table);
  CHECK_CONTIGUOUS(out);
  CHECK_CONTIGUOUS(lse);
}

}  // namespace samplex
