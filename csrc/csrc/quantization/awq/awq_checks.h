// What the CPU and the CUDA kernels for AWQ demand of their arguments.
#pragma once

#include <torch/types.h>

#include "../../check_utils.h"
#include "awq_format.h"

namespace samplex {

struct AwqShape {
  int64_t rows;        // input channels
  int64_t words;       // output channels / kAwqPack
  int64_t group_size;  // rows that share a scale and a zero
};

// kernel: int32 [rows, words]; scales: [rows / group_size, columns]; zeros:
// int32 [rows / group_size, words].
inline AwqShape check_awq(const torch::Tensor& kernel,
                          const torch::Tensor& scales,
                          const torch::Tensor& zeros) {
  CHECK_DIM(kernel, 2);
  CHECK_DIM(scales, 2);
  CHECK_DTYPE(kernel, at::ScalarType::Int);
  CHECK_DTYPE(zeros, at::ScalarType::Int);
  CHECK_CONTIGUOUS(kernel);
  CHECK_CONTIGUOUS(scales);
  CHECK_CONTIGUOUS(zeros);
  const int64_t rows = kernel.size(0);
  const int64_t words = kernel.size(1);
  const int64_t groups = scales.size(0);
  TORCH_CHECK(groups > 0 && rows % groups == 0, rows,
              " input channels cannot be split into ", groups, " groups");
  TORCH_CHECK(scales.size(1) == words * kAwqPack, "scales has ", scales.size(1),
              " columns, the weight ", words * kAwqPack);
  TORCH_CHECK_EQ(zeros.numel(), groups * words);
  return {rows, words, rows / groups};
}

inline void check_awq_input(const torch::Tensor& input,
                            const torch::Tensor& scales, int64_t rows,
                            int64_t split_k_iters) {
  CHECK_DIM(input, 2);
  CHECK_SAME_DTYPE(input, scales);
  TORCH_CHECK(input.size(1) == rows, "the input has ", input.size(1),
              " channels, the weight ", rows);
  TORCH_CHECK(split_k_iters > 0, "split_k_iters must be positive, got ",
              split_k_iters);
}

}  // namespace samplex
