// Launch configurations that depend on the current device.
#pragma once

#include <ATen/cuda/CUDAContext.h>

#include <algorithm>
#include <cstdint>

namespace samplex {

// Threads for a block that works through `items`: whole warps, and at most
// `limit` of them.
inline int block_size_for(int64_t items, int limit = 1024) {
  const auto* properties = at::cuda::getCurrentDeviceProperties();
  const int warp = properties->warpSize;
  const int most = std::min(limit, properties->maxThreadsPerBlock);
  const int64_t wanted = (items + warp - 1) / warp * warp;
  return static_cast<int>(std::clamp<int64_t>(wanted, warp, most));
}

// Blocks for a grid-stride loop over `items`: enough to fill every
// multiprocessor, and no more than there is work for.
inline int grid_size_for(int64_t items, int block_size) {
  constexpr int kBlocksPerMultiprocessor = 8;
  const int most = at::cuda::getCurrentDeviceProperties()->multiProcessorCount *
                   kBlocksPerMultiprocessor;
  const int64_t wanted = (items + block_size - 1) / block_size;
  return static_cast<int>(std::clamp<int64_t>(wanted, 1, most));
}

}  // namespace samplex
