// What the CPU and the CUDA kernels of mxfp8_moe demand.
#pragma once

#include <torch/types.h>

#include "../../check_utils.h"
#include "mxfp8_format.h"

namespace samplex {

inline MxGroups check_mx_groups(const torch::Tensor& problem_sizes,
                                const torch::Tensor& expert_offsets,
                                const torch::Tensor& blockscale_offsets) {
  CHECK_DIM(problem_sizes, 2);
  TORCH_CHECK(problem_sizes.size(1) == 3,
              "problem_sizes must have the columns m, n and k");
  const int64_t count = problem_sizes.size(0);
  TORCH_CHECK_EQ(expert_offsets.numel(), count);
  TORCH_CHECK_EQ(blockscale_offsets.numel(), count);
  CHECK_DTYPE(problem_sizes, torch::kInt32);
  CHECK_DTYPE(expert_offsets, torch::kInt32);
  CHECK_DTYPE(blockscale_offsets, torch::kInt32);
  CHECK_CONTIGUOUS(problem_sizes);
  CHECK_CONTIGUOUS(expert_offsets);
  CHECK_CONTIGUOUS(blockscale_offsets);
  return {problem_sizes.data_ptr<int>(), expert_offsets.data_ptr<int>(),
          blockscale_offsets.data_ptr<int>(), count};
}

inline void check_mx_width(int64_t k) {
  TORCH_CHECK(k % kMxAlignment == 0, "k must be a multiple of ", kMxAlignment,
              ", got ", k);
}

inline void check_mxfp8_experts_quant(const torch::Tensor& input,
                                      const torch::Tensor& quant_output,
                                      const torch::Tensor& scale_factor) {
  CHECK_DIM(input, 2);
  check_mx_width(input.size(1));
  TORCH_CHECK(input.strides()[1] == 1, "input must be stored by rows");
  TORCH_CHECK(quant_output.sizes() == input.sizes(),
              "quant_output must have the shape of input");
  CHECK_DTYPE(quant_output, at::ScalarType::Float8_e4m3fn);
  CHECK_DTYPE(scale_factor, at::ScalarType::Byte);
  CHECK_CONTIGUOUS(quant_output);
  CHECK_CONTIGUOUS(scale_factor);
}

// a: [tokens, k] by rows; b: [experts, k, n] by columns; out: [tokens, n].
inline void check_mxfp8_grouped_mm(const torch::Tensor& a,
                                   const torch::Tensor& b,
                                   const torch::Tensor& sfa,
                                   const torch::Tensor& sfb,
                                   const torch::Tensor& out,
                                   const MxGroups& groups) {
  CHECK_DIM(a, 2);
  CHECK_DIM(b, 3);
  CHECK_DTYPE(a, at::ScalarType::Float8_e4m3fn);
  CHECK_DTYPE(b, at::ScalarType::Float8_e4m3fn);
  CHECK_DTYPE(sfa, at::ScalarType::Byte);
  CHECK_DTYPE(sfb, at::ScalarType::Byte);
  check_mx_width(a.size(1));
  TORCH_CHECK_EQ(b.size(0), groups.count);
  TORCH_CHECK_EQ(b.size(1), a.size(1));
  TORCH_CHECK(a.strides()[1] == 1, "a must be stored by rows");
  TORCH_CHECK(b.strides()[1] == 1, "b must be stored by columns");
  CHECK_CONTIGUOUS(sfa);
  CHECK_CONTIGUOUS(sfb);
  CHECK_CONTIGUOUS(out);
  TORCH_CHECK(
      out.dim() == 2 && out.size(0) == a.size(0) && out.size(1) == b.size(2),
      "out must be ", a.size(0), " by ", b.size(2));
  const int64_t blocks = a.size(1) / kMxBlock;
  TORCH_CHECK(sfb.numel() == groups.count * mx_padded_rows(b.size(2)) * blocks,
              "sfb must have a scale for each block of each column, padded to ",
              kMxScaleRows, " columns");
}

}  // namespace samplex
