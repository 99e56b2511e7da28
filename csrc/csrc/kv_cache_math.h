// How keys and values are stored in a cache, for CPU and CUDA alike.
#pragma once

#include "cuda_compat.h"
#include "quantization/quant_math.h"

namespace samplex {

// fp8 is scaled; other types are stored as they are.
template <typename cache_t>
HOST_DEVICE_INLINE cache_t to_cache(float x, float scale) {
  if constexpr (sizeof(cache_t) == 1) {
    return quantize_fp8<cache_t>(x, scale);
  } else {
    return static_cast<cache_t>(x);
  }
}

template <typename cache_t>
HOST_DEVICE_INLINE float from_cache(cache_t x, float scale) {
  if constexpr (sizeof(cache_t) == 1) {
    return static_cast<float>(x) * scale;
  } else {
    return static_cast<float>(x);
  }
}

}  // namespace samplex
