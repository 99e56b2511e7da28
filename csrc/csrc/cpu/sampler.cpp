#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "../dispatch_utils.h"
#include "../sampler_checks.h"
#include "../sampler_math.h"
#include "row_grain.h"

namespace samplex {
namespace {

// The indices of the k largest in ascending order, -1 where there are fewer; of
// equal logits the first.
void top_k_row(int32_t* out, const LogitRow& row, int64_t k) {
  std::vector<int32_t> indices(row.length);
  std::iota(indices.begin(), indices.end(), 0);
  const int64_t count = std::min(k, row.length);
  const auto last = indices.begin() + count;
  std::nth_element(indices.begin(), last, indices.end(),
                   [&](int32_t a, int32_t b) {
                     const uint32_t key_a = row.key(a);
                     const uint32_t key_b = row.key(b);
                     return key_a != key_b ? key_a > key_b : a < b;
                   });
  std::sort(indices.begin(), last);
  std::fill(std::copy(indices.begin(), last, out), out + k, -1);
}

template <typename Rows>
void top_k_rows(torch::Tensor& indices, const Rows& rows, int64_t num_rows,
                int64_t k) {
  int32_t* out = indices.data_ptr<int32_t>();
  at::parallel_for(0, num_rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      top_k_row(out + row * k, rows(row), k);
    }
  });
}

}  // namespace
}  // namespace samplex

void apply_repetition_penalties_cpu_(
    torch::Tensor& logits, const torch::Tensor& prompt_mask,
    const torch::Tensor& output_mask,
    const torch::Tensor& repetition_penalties) {
  samplex::check_repetition_penalties(logits, prompt_mask, output_mask,
                                      repetition_penalties);
  const int64_t vocab_size = logits.size(1);
  const bool* in_prompt = prompt_mask.data_ptr<bool>();
  const bool* in_output = output_mask.data_ptr<bool>();
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      logits.scalar_type(), "apply_repetition_penalties_", [&] {
        scalar_t* data = logits.data_ptr<scalar_t>();
        const scalar_t* penalties = repetition_penalties.data_ptr<scalar_t>();
        at::parallel_for(
            0, logits.numel(), samplex::row_grain(1),
            [&](int64_t begin, int64_t end) {
              for (int64_t i = begin; i < end; ++i) {
                if (!in_prompt[i] && !in_output[i]) continue;
                data[i] = static_cast<scalar_t>(samplex::penalize(
                    static_cast<float>(data[i]),
                    static_cast<float>(penalties[i / vocab_size])));
              }
            });
      });
}

void top_k_per_row_prefill_cpu(const torch::Tensor& logits,
                               const torch::Tensor& rowStarts,
                               const torch::Tensor& rowEnds,
                               torch::Tensor& indices, int64_t numRows,
                               int64_t stride0, int64_t stride1, int64_t topK) {
  const auto rows = samplex::check_top_k_prefill(
      logits, rowStarts, rowEnds, indices, numRows, stride0, stride1, topK);
  samplex::top_k_rows(indices, rows, numRows, topK);
}

void top_k_per_row_decode_cpu(const torch::Tensor& logits, int64_t next_n,
                              const torch::Tensor& seq_lens,
                              torch::Tensor& indices, int64_t numRows,
                              int64_t stride0, int64_t stride1, int64_t topK) {
  const auto rows = samplex::check_top_k_decode(
      logits, next_n, seq_lens, indices, numRows, stride0, stride1, topK);
  samplex::top_k_rows(indices, rows, numRows, topK);
}

void persistent_topk_cpu(const torch::Tensor& logits,
                         const torch::Tensor& lengths, torch::Tensor& output,
                         torch::Tensor& workspace, int64_t k,
                         int64_t max_seq_len) {
  const auto rows = samplex::check_persistent_topk(logits, lengths, output,
                                                   workspace, k, max_seq_len);
  samplex::top_k_rows(output, rows, logits.size(0), k);
}
