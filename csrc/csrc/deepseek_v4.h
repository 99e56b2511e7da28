// What follows the projections of query and key in DeepSeek V4, for CPU and
// CUDA alike: normalisation, rotation, and the entry into the cache.
#pragma once

#include <c10/util/Float8_e4m3fn.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#include "cuda_compat.h"
#include "quantization/quant_math.h"
#include "quantization/ue8m0.h"

namespace samplex {

constexpr int kV4HeadSize = 512;
constexpr int kV4RopeSize = 64;  // the last elements of a head are rotated
constexpr int kV4NopeSize = kV4HeadSize - kV4RopeSize;
constexpr int kV4QuantBlock = 64;   // elements with one scale
constexpr int kV4LaneElements = 4;  // what one thread works on: two pairs

// A token in the cache: fp8, then what was rotated in 16 bits. Behind all
// tokens of a block stand their scales, eight bytes each with one to fill up.
constexpr int kV4TokenBytes = kV4NopeSize + 2 * kV4RopeSize;
constexpr int kV4ScaleBytes = 8;

// The tensors of one call.
template <typename scalar_t>
struct V4Arguments {
  scalar_t* q_out;              // [tokens, padded_heads, head_size]
  const scalar_t* q_in;         // [tokens, heads, head_size]
  const scalar_t* kv;           // [tokens, head_size]
  uint8_t* k_cache;             // [blocks, block_stride]
  const int64_t* slot_mapping;  // of the first `inserted` tokens; -1: none
  const int64_t* position_ids;
  const float* cos_sin_cache;  // [positions, cosines and sines]
  int64_t num_tokens;
  int64_t inserted;
  int64_t heads;
  int64_t padded_heads;
  int64_t block_size;
  int64_t block_stride;
  float eps;
};

// The elements that one thread works on, from `start` of a head on.
struct V4Lane {
  float x[kV4LaneElements];

  template <typename scalar_t>
  HOST_DEVICE_INLINE void load(const scalar_t* head, int start) {
    for (int i = 0; i < kV4LaneElements; ++i) {
      x[i] = static_cast<float>(head[start + i]);
    }
  }

  template <typename scalar_t>
  HOST_DEVICE_INLINE void store(scalar_t* head, int start) const {
    for (int i = 0; i < kV4LaneElements; ++i) {
      head[start + i] = static_cast<scalar_t>(x[i]);
    }
  }

  HOST_DEVICE_INLINE float sum_of_squares() const {
    float sum = 0.0f;
    for (int i = 0; i < kV4LaneElements; ++i) sum += x[i] * x[i];
    return sum;
  }

  HOST_DEVICE_INLINE float largest() const {
    float found = 0.0f;
    for (int i = 0; i < kV4LaneElements; ++i) found = fmaxf(found, fabsf(x[i]));
    return found;
  }

  HOST_DEVICE_INLINE void scale(float by) {
    for (int i = 0; i < kV4LaneElements; ++i) x[i] *= by;
  }

  // Neighbours are a pair. What comes before the rotated part stays.
  HOST_DEVICE_INLINE void rotate(const float* cos_sin, int start) {
    if (start < kV4NopeSize) return;
    const int first_pair = (start - kV4NopeSize) / 2;
    for (int i = 0; i < kV4LaneElements; i += 2) {
      const float cosine = cos_sin[first_pair + i / 2];
      const float sine = cos_sin[kV4RopeSize / 2 + first_pair + i / 2];
      const float even = x[i];
      const float odd = x[i + 1];
      x[i] = even * cosine - odd * sine;
      x[i + 1] = odd * cosine + even * sine;
    }
  }
};

template <typename scalar_t>
HOST_DEVICE_INLINE const float* v4_cos_sin(const V4Arguments<scalar_t>& a,
                                           int64_t token) {
  return a.cos_sin_cache + a.position_ids[token] * kV4RopeSize;
}

// Where a token stands in the cache, and its scales.
struct V4Slot {
  uint8_t* data;
  uint8_t* scales;

  template <typename scalar_t>
  HOST_DEVICE_INLINE V4Slot(const V4Arguments<scalar_t>& a, int64_t slot) {
    uint8_t* block = a.k_cache + slot / a.block_size * a.block_stride;
    const int64_t offset = slot % a.block_size;
    data = block + offset * kV4TokenBytes;
    scales = block + a.block_size * kV4TokenBytes + offset * kV4ScaleBytes;
  }

  // Stores a lane; `largest` is that of its quantisation block.
  template <typename scalar_t>
  HOST_DEVICE_INLINE void store(const V4Lane& lane, int start, float largest) {
    if (start >= kV4NopeSize) {
      lane.store(reinterpret_cast<scalar_t*>(data + kV4NopeSize),
                 start - kV4NopeSize);
      return;
    }
    using fp8_t = c10::Float8_e4m3fn;
    const uint8_t exponent = ue8m0_from_float(largest / Fp8Limits<fp8_t>::max);
    for (int i = 0; i < kV4LaneElements; ++i) {
      data[start + i] =
          quantize_fp8<fp8_t>(lane.x[i], ue8m0_to_float(exponent)).x;
    }
    scales[start / kV4QuantBlock] = exponent;
  }
};

}  // namespace samplex
