// What the CPU and the CUDA kernels of merge_attn_states demand.
#pragma once

#include <torch/types.h>

#include <optional>

#include "../check_utils.h"
#include "merge_attn_states_math.h"

namespace samplex {

inline void check_attn_state(const torch::Tensor& part,
                             const torch::Tensor& lse, const char* name) {
  CHECK_DIM(part, 3);
  CHECK_CONTIGUOUS(part);
  CHECK_CONTIGUOUS(lse);
  CHECK_DTYPE(lse, at::ScalarType::Float);
  TORCH_CHECK(lse.dim() == 2 && lse.size(0) == part.size(1) &&
                  lse.size(1) == part.size(0),
              "the lse of the ", name, " must be ", part.size(1), " by ",
              part.size(0));
}

inline void check_merge_attn_states(
    const torch::Tensor& output, const std::optional<torch::Tensor>& output_lse,
    const torch::Tensor& prefix_output, const torch::Tensor& prefix_lse,
    const torch::Tensor& suffix_output, const torch::Tensor& suffix_lse,
    const std::optional<torch::Tensor>& output_scale) {
  check_attn_state(prefix_output, prefix_lse, "prefix");
  check_attn_state(suffix_output, suffix_lse, "suffix");
  CHECK_SAME_DTYPE(prefix_output, suffix_output);
  CHECK_CONTIGUOUS(output);
  TORCH_CHECK(output.sizes() == suffix_output.sizes() &&
                  prefix_output.sizes() == suffix_output.sizes(),
              "output, prefix_output and suffix_output must have the same "
              "shape");
  if (output_lse.has_value()) {
    check_attn_state(output, output_lse.value(), "output");
  }
  if (output_scale.has_value()) {
    CHECK_DTYPE(output_scale.value(), at::ScalarType::Float);
    TORCH_CHECK_EQ(output_scale->numel(), 1);
  } else {
    CHECK_SAME_DTYPE(output, suffix_output);
  }
}

template <typename scalar_t, typename out_t>
MergeArguments<scalar_t, out_t> merge_arguments(
    torch::Tensor& output, const std::optional<torch::Tensor>& output_lse,
    const torch::Tensor& prefix_output, const torch::Tensor& prefix_lse,
    const torch::Tensor& suffix_output, const torch::Tensor& suffix_lse,
    const std::optional<int64_t>& prefill_tokens_with_context,
    const std::optional<torch::Tensor>& output_scale) {
  return {output.data_ptr<out_t>(),
          output_lse.has_value() ? output_lse->data_ptr<float>() : nullptr,
          prefix_output.data_ptr<scalar_t>(),
          prefix_lse.data_ptr<float>(),
          suffix_output.data_ptr<scalar_t>(),
          suffix_lse.data_ptr<float>(),
          output_scale.has_value() ? output_scale->data_ptr<float>() : nullptr,
          output.size(0),
          output.size(1),
          output.size(2),
          prefill_tokens_with_context.value_or(output.size(0))};
}

}  // namespace samplex

// Runs `RUN(arguments)` for the dtypes of the caller's tensors.
#define DISPATCH_MERGE_ATTN_STATES(RUN)                                     \
  SAMPLEX_DISPATCH_FLOATING_TYPES(                                          \
      suffix_output.scalar_type(), "merge_attn_states", [&] {               \
        if (output_scale.has_value()) {                                     \
          SAMPLEX_DISPATCH_FP8_TYPES(                                       \
              output.scalar_type(), "merge_attn_states", [&] {              \
                RUN((samplex::merge_arguments<scalar_t, fp8_t>(             \
                    output, output_lse, prefix_output, prefix_lse,          \
                    suffix_output, suffix_lse, prefill_tokens_with_context, \
                    output_scale)));                                        \
              });                                                           \
        } else {                                                            \
          RUN((samplex::merge_arguments<scalar_t, scalar_t>(                \
              output, output_lse, prefix_output, prefix_lse, suffix_output, \
              suffix_lse, prefill_tokens_with_context, output_scale)));     \
        }                                                                   \
      })
