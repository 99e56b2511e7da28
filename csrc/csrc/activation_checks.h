// What the CPU and the CUDA activations demand of their arguments.
#pragma once

#include <torch/types.h>

#include "check_utils.h"

namespace samplex {

inline void check_gated(const torch::Tensor& out, const torch::Tensor& input,
                        const char* op) {
  CHECK_SAME_DTYPE(out, input);
  CHECK_CONTIGUOUS(out);
  TORCH_CHECK_EQ(input.size(-1), 2 * out.size(-1));
  TORCH_CHECK(input.numel() == 2 * out.numel(), op, ": expected ",
              2 * out.numel(), " input elements for ", out.numel(),
              " output elements, got ", input.numel());
}

inline void check_elementwise(const torch::Tensor& out,
                              const torch::Tensor& input, const char* op) {
  CHECK_SAME_DTYPE(out, input);
  CHECK_CONTIGUOUS(out);
  TORCH_CHECK(input.numel() == out.numel(), op, ": expected ", out.numel(),
              " input elements, got ", input.numel());
}

}  // namespace samplex
