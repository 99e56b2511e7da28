// How AllSpark orders 8-bit weights, for CPU and CUDA alike.
#pragma once

#include <cstdint>

#include "../../cuda_compat.h"

namespace samplex {

constexpr int64_t kAllsparkTileN = 32;
constexpr int64_t kAllsparkTileK = 16;

// What a weight without zero points counts from.
constexpr float kAllsparkMiddle = 128.0f;

// Where weight (k, n) of a matrix with `rows` rows stands: tiles of 32 columns
// and 16 rows, the tiles of a strip of columns one after another, and the rows
// of a column next to each other.
HOST_DEVICE_INLINE int64_t allspark_index(int64_t k, int64_t n, int64_t rows) {
  const int64_t strip = n / kAllsparkTileN * kAllsparkTileN * rows;
  const int64_t tile = k / kAllsparkTileK * kAllsparkTileK * kAllsparkTileN;
  return strip + tile + n % kAllsparkTileN * kAllsparkTileK +
         k % kAllsparkTileK;
}

HOST_DEVICE_INLINE float allspark_weight(uint8_t code, float scale,
                                         float zero) {
  return (static_cast<float>(code) - zero) * scale;
}

// The scales and the optional zero points of the columns.
template <typename scalar_t>
struct AllsparkColumns {
  const scalar_t* scales;
  const scalar_t* zeros;  // null if the weight has none

  HOST_DEVICE_INLINE float scale(int64_t n) const {
    return static_cast<float>(scales[n]);
  }

  HOST_DEVICE_INLINE float zero(int64_t n) const {
    return zeros == nullptr ? kAllsparkMiddle : static_cast<float>(zeros[n]);
  }
};

}  // namespace samplex
