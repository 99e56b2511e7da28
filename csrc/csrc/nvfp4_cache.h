// A key and value cache in NVFP4, for CPU and CUDA alike: two numbers of four
// bits (e2m1) in a byte, and an fp8 scale for every 16 of them.
#pragma once

#include <c10/util/Float8_e4m3fn.h>

#include <cmath>
#include <cstdint>

#include "cuda_compat.h"
#include "quantization/quant_math.h"

namespace samplex {

constexpr int kFp4Block = 16;  // elements with one scale
constexpr float kFp4Max = 6.0f;

// The code of the nearest number of 0, 0.5, 1, 1.5, 2, 3, 4 and 6, the even
// code in the middle of two; the sign is the highest bit.
HOST_DEVICE_INLINE uint8_t fp4_code(float x) {
  const float size = fabsf(x);
  const uint8_t sign = x < 0.0f ? 8 : 0;
  if (size <= 0.25f) return sign;
  if (size < 0.75f) return sign | 1;
  if (size <= 1.25f) return sign | 2;
  if (size < 1.75f) return sign | 3;
  if (size <= 2.5f) return sign | 4;
  if (size < 3.5f) return sign | 5;
  if (size <= 5.0f) return sign | 6;
  return sign | 7;
}

// Quantises the elements of a block, `global_scale` times as large as the cache
// has them, and returns the scale of the block.
template <typename scalar_t>
HOST_DEVICE_INLINE c10::Float8_e4m3fn quantize_fp4_block(uint8_t* codes,
                                                         const scalar_t* input,
                                                         float global_scale) {
  using fp8_t = c10::Float8_e4m3fn;
  float largest = 0.0f;
  for (int i = 0; i < kFp4Block; ++i) {
    largest = fmaxf(largest, fabsf(static_cast<float>(input[i])));
  }
  const fp8_t scale = quantize_fp8<fp8_t>(largest / kFp4Max, global_scale);
  const float divisor = divisor_of(static_cast<float>(scale) * global_scale);
  for (int i = 0; i < kFp4Block; i += 2) {
    const uint8_t low = fp4_code(static_cast<float>(input[i]) / divisor);
    const uint8_t high = fp4_code(static_cast<float>(input[i + 1]) / divisor);
    codes[i / 2] = low | high << 4;
  }
  return scale;
}

// One of the two caches: [blocks, heads, block_size, bytes of a head], where a
// head is its codes and then its scales. Blocks and heads may be apart.
struct Fp4Cache {
  uint8_t* data;
  int64_t stride_block;
  int64_t stride_head;
  int64_t stride_token;

  HOST_DEVICE_INLINE uint8_t* head(int64_t slot, int64_t block_size,
                                   int64_t head) const {
    return data + slot / block_size * stride_block + head * stride_head +
           slot % block_size * stride_token;
  }
};

// Bytes of a head in the cache.
HOST_DEVICE_INLINE int64_t fp4_head_bytes(int64_t head_size) {
  return head_size / 2 + head_size / kFp4Block;
}

// Key or value, with its cache.
template <typename scalar_t>
struct Fp4Part {
  const scalar_t* input;  // [tokens, heads, head_size]
  int64_t stride_token;
  int64_t stride_head;
  Fp4Cache cache;
  const float* scale;  // of the whole cache

  // Quantises one block of a head.
  HOST_DEVICE_INLINE void insert(int64_t token, int64_t slot,
                                 int64_t block_size, int64_t head,
                                 int64_t block, int64_t head_size) const {
    const scalar_t* from =
        input + token * stride_token + head * stride_head + block * kFp4Block;
    uint8_t* to = cache.head(slot, block_size, head);
    const auto block_scale =
        quantize_fp4_block(to + block * kFp4Block / 2, from, *scale);
    to[head_size / 2 + block] = block_scale.x;
  }
};

// The tensors of one call.
template <typename scalar_t>
struct Fp4Arguments {
  Fp4Part<scalar_t> key;
  Fp4Part<scalar_t> value;
  const int64_t* slot_mapping;  // -1: the token is not cached
  int64_t num_tokens;
  int64_t heads;
  int64_t head_size;
  int64_t block_size;
};

}  // namespace samplex
