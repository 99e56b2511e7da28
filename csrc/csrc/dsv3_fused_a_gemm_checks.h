// What the CPU and the CUDA kernels of dsv3_fused_a_gemm demand.
#pragma once

#include <torch/types.h>

#include "check_utils.h"

namespace samplex {

constexpr int64_t kMaxFusedATokens = 16;

// mat_a: [tokens, k] in rows; mat_b: [k, n] in columns; output: [tokens, n].
inline void check_dsv3_fused_a_gemm(const torch::Tensor& output,
                                    const torch::Tensor& mat_a,
                                    const torch::Tensor& mat_b) {
  CHECK_DIM(mat_a, 2);
  CHECK_DIM(mat_b, 2);
  CHECK_DIM(output, 2);
  CHECK_DTYPE(mat_a, at::ScalarType::BFloat16);
  CHECK_DTYPE(mat_b, at::ScalarType::BFloat16);
  CHECK_DTYPE(output, at::ScalarType::BFloat16);
  const int64_t tokens = mat_a.size(0);
  TORCH_CHECK(tokens >= 1 && tokens <= kMaxFusedATokens,
              "dsv3_fused_a_gemm takes 1 to ", kMaxFusedATokens,
              " tokens, got ", tokens);
  TORCH_CHECK_EQ(mat_a.size(1), mat_b.size(0));
  TORCH_CHECK(output.size(0) == tokens && output.size(1) == mat_b.size(1),
              "output must be ", tokens, " by ", mat_b.size(1), ", got ",
              output.size(0), " by ", output.size(1));
  CHECK_CONTIGUOUS(mat_a);
  CHECK_CONTIGUOUS(output);
  TORCH_CHECK(mat_b.stride(0) == 1, "mat_b must be stored by columns");
}

}  // namespace samplex
