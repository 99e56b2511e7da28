#include <ATen/Parallel.h>
#include <torch/types.h>

#include <optional>

#include "../attention/merge_attn_states_checks.h"
#include "../attention/merge_attn_states_math.h"
#include "../dispatch_utils.h"
#include "row_grain.h"

namespace samplex {
namespace {

template <typename scalar_t, typename out_t>
void merge_all(const MergeArguments<scalar_t, out_t>& arguments) {
  const int64_t width = arguments.head_size;
  at::parallel_for(
      0, arguments.num_tokens * arguments.num_heads, row_grain(width),
      [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const int64_t token = row / arguments.num_heads;
          const int64_t head = row % arguments.num_heads;
          const MergeWeights weights = arguments.weights(token, head);
          if (arguments.output_lse != nullptr) {
            arguments.output_lse[head * arguments.num_tokens + token] =
                weights.lse;
          }
          for (int64_t i = row * width; i < (row + 1) * width; ++i) {
            arguments.merge(i, weights);
          }
        }
      });
}

}  // namespace
}  // namespace samplex

void merge_attn_states_cpu(
    torch::Tensor& output, std::optional<torch::Tensor> output_lse,
    const torch::Tensor& prefix_output, const torch::Tensor& prefix_lse,
    const torch::Tensor& suffix_output, const torch::Tensor& suffix_lse,
    const std::optional<int64_t> prefill_tokens_with_context,
    const std::optional<torch::Tensor>& output_scale) {
  samplex::check_merge_attn_states(output, output_lse, prefix_output,
                                   prefix_lse, suffix_output, suffix_lse,
                                   output_scale);
  DISPATCH_MERGE_ATTN_STATES(samplex::merge_all);
}
