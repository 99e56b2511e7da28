// What the CPU and the CUDA Hadamard transform demand of their argument.
#pragma once

#include <torch/types.h>

#include "../../check_utils.h"

namespace samplex {

// The longest row whose floats fit into the shared memory of one block.
constexpr int64_t kMaxHadamardWidth = 32768;

inline void check_hadamard(const torch::Tensor& x) {
  CHECK_CONTIGUOUS(x);
  const int64_t width = x.size(-1);
  TORCH_CHECK(
      width > 0 && (width & (width - 1)) == 0 && width <= kMaxHadamardWidth,
      "hadacore_transform: the last dimension must be a power of two "
      "up to ",
      kMaxHadamardWidth, ", got ", width);
}

}  // namespace samplex
