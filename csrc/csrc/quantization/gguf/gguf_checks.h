// What the CPU and the CUDA kernels for GGUF demand of their arguments.
#pragma once

#include <torch/types.h>

#include "../../check_utils.h"
#include "gguf_format.h"

namespace samplex {

// Calls `run` with the format of number `type`.
template <typename Run>
void with_gguf_format(int64_t type, const Run& run) {
  switch (type) {
    case kGgufQ4_0:
      return run(GgufQ4_0{});
    case kGgufQ8_0:
      return run(GgufQ8_0{});
    case kGgufQ4_K:
      return run(GgufQ4_K{});
    case kGgufQ6_K:
      return run(GgufQ6_K{});
    default:
      TORCH_CHECK(false, "GGUF type ", type, " is not supported");
  }
}

// The weight holds `rows` rows of `columns` weights, each a whole number of
// blocks.
template <typename Format>
void check_gguf_weight(const torch::Tensor& weight, int64_t rows,
                       int64_t columns) {
  CHECK_DTYPE(weight, at::ScalarType::Byte);
  CHECK_CONTIGUOUS(weight);
  TORCH_CHECK(columns % Format::kWeights == 0, "rows of ", columns,
              " weights are no whole number of blocks of ", Format::kWeights);
  const int64_t bytes = rows * (columns / Format::kWeights) * Format::kBytes;
  TORCH_CHECK(weight.numel() == bytes, "expected ", bytes, " bytes for ", rows,
              " by ", columns, " weights, got ", weight.numel());
}

}  // namespace samplex
