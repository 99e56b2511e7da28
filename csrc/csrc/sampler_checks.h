// What the CPU and the CUDA samplers demand of their arguments.
#pragma once

#include <torch/types.h>

#include "check_utils.h"
#include "sampler_math.h"

namespace samplex {

inline void check_repetition_penalties(
    const torch::Tensor& logits, const torch::Tensor& prompt_mask,
    const torch::Tensor& output_mask,
    const torch::Tensor& repetition_penalties) {
  CHECK_DIM(logits, 2);
  CHECK_CONTIGUOUS(logits);
  CHECK_CONTIGUOUS(prompt_mask);
  CHECK_CONTIGUOUS(output_mask);
  CHECK_CONTIGUOUS(repetition_penalties);
  CHECK_DTYPE(prompt_mask, at::ScalarType::Bool);
  CHECK_DTYPE(output_mask, at::ScalarType::Bool);
  CHECK_SAME_DTYPE(repetition_penalties, logits);
  TORCH_CHECK(prompt_mask.sizes() == logits.sizes() &&
                  output_mask.sizes() == logits.sizes(),
              "the masks must have the shape of the logits");
  TORCH_CHECK_EQ(repetition_penalties.numel(), logits.size(0));
}

// int32 numbers, one for each of `count`.
inline void check_lengths(const torch::Tensor& lengths, int64_t count,
                          const char* name) {
  check_list(lengths, at::ScalarType::Int, name);
  TORCH_CHECK(lengths.numel() == count, name, " must have ", count,
              " elements, got ", lengths.numel());
}

inline LogitMatrix check_top_k(const torch::Tensor& logits,
                               const torch::Tensor& indices, int64_t num_rows,
                               int64_t stride0, int64_t stride1, int64_t k) {
  CHECK_DTYPE(logits, at::ScalarType::Float);
  CHECK_DTYPE(indices, at::ScalarType::Int);
  CHECK_CONTIGUOUS(indices);
  TORCH_CHECK(k > 0, "k must be positive, got ", k);
  TORCH_CHECK(indices.numel() == num_rows * k, "expected room for ", num_rows,
              " times ", k, " indices, got ", indices.numel());
  return {logits.data_ptr<float>(), stride0, stride1};
}

inline PrefillRows check_top_k_prefill(const torch::Tensor& logits,
                                       const torch::Tensor& row_starts,
                                       const torch::Tensor& row_ends,
                                       const torch::Tensor& indices,
                                       int64_t num_rows, int64_t stride0,
                                       int64_t stride1, int64_t k) {
  check_lengths(row_starts, num_rows, "rowStarts");
  check_lengths(row_ends, num_rows, "rowEnds");
  return {check_top_k(logits, indices, num_rows, stride0, stride1, k),
          row_starts.data_ptr<int32_t>(), row_ends.data_ptr<int32_t>()};
}

inline DecodeRows check_top_k_decode(const torch::Tensor& logits,
                                     int64_t next_n,
                                     const torch::Tensor& seq_lens,
                                     const torch::Tensor& indices,
                                     int64_t num_rows, int64_t stride0,
                                     int64_t stride1, int64_t k) {
  TORCH_CHECK(next_n > 0 && num_rows % next_n == 0, num_rows,
              " rows are not a multiple of next_n, ", next_n);
  check_lengths(seq_lens, num_rows / next_n, "seq_lens");
  return {check_top_k(logits, indices, num_rows, stride0, stride1, k),
          seq_lens.data_ptr<int32_t>(), next_n};
}

// Every row has the length that stands in `lengths`.
inline DecodeRows check_persistent_topk(const torch::Tensor& logits,
                                        const torch::Tensor& lengths,
                                        const torch::Tensor& output,
                                        const torch::Tensor& workspace,
                                        int64_t k, int64_t max_seq_len) {
  CHECK_DIM(logits, 2);
  CHECK_DTYPE(workspace, at::ScalarType::Byte);
  CHECK_CONTIGUOUS(workspace);
  const int64_t num_rows = logits.size(0);
  check_lengths(lengths, num_rows, "lengths");
  TORCH_CHECK(max_seq_len <= logits.size(1), "max_seq_len is ", max_seq_len,
              ", the rows have ", logits.size(1), " logits");
  const auto needed = num_rows * static_cast<int64_t>(sizeof(TopKRowState));
  TORCH_CHECK(workspace.numel() >= needed, "the workspace must have ", needed,
              " bytes, got ", workspace.numel());
  return {check_top_k(logits, output, num_rows, logits.stride(0),
                      logits.stride(1), k),
          lengths.data_ptr<int32_t>(), /*next_n=*/1};
}

}  // namespace samplex
