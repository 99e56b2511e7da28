// How the CPU kernels share out their rows. Without torch.
#pragma once

#include <algorithm>
#include <cstdint>

namespace samplex {

// Rows of `width` elements that one thread should at least take.
inline int64_t row_grain(int64_t width) {
  constexpr int64_t kElementsPerTask = 16384;
  return std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, width));
}

}  // namespace samplex
