// What the CPU and the CUDA normalisations demand of their arguments.
#pragma once

#include <torch/types.h>

#include "check_utils.h"

namespace samplex {

// Distance between rows of a tensor whose rows are evenly spaced.
inline int64_t row_stride(const torch::Tensor& rows) {
  return rows.dim() < 2 ? rows.size(-1) : rows.stride(-2);
}

// A contiguous tensor, or a slice of the columns of a wider matrix.
inline bool has_even_rows(const torch::Tensor& rows) {
  return rows.is_contiguous() || (rows.dim() == 2 && rows.stride(-1) == 1);
}

inline void check_norm_weight(const torch::Tensor& input,
                              const torch::Tensor& weight, const char* op) {
  CHECK_SAME_DTYPE(weight, input);
  CHECK_CONTIGUOUS(weight);
  TORCH_CHECK(weight.numel() == input.size(-1), op, ": weight has ",
              weight.numel(), " elements, rows have ", input.size(-1));
}

inline void check_rms_norm(const torch::Tensor& out, const torch::Tensor& input,
                           const torch::Tensor& weight) {
  CHECK_SAME_DTYPE(out, input);
  CHECK_CONTIGUOUS(out);
  TORCH_CHECK_EQ(out.numel(), input.numel());
  check_norm_weight(input, weight, "rms_norm");
}

inline void check_fused_add_rms_norm(const torch::Tensor& input,
                                     const torch::Tensor& residual,
                                     const torch::Tensor& weight) {
  CHECK_SAME_DTYPE(residual, input);
  CHECK_CONTIGUOUS(residual);
  TORCH_CHECK(has_even_rows(input), "fused_add_rms_norm: the rows of a ",
              input.dim(), "-dimensional input must be evenly spaced");
  TORCH_CHECK_EQ(residual.numel(), input.numel());
  check_norm_weight(input, weight, "fused_add_rms_norm");
}

}  // namespace samplex
