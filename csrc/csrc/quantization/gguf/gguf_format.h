// The block formats of GGUF files, for CPU and CUDA alike. A block is a run of
// bytes that holds a fixed count of weights and their scales.
#pragma once

#include <c10/util/Half.h>

#include <cmath>
#include <cstdint>

#include "../../cuda_compat.h"

namespace samplex {

// The numbers that GGUF files know the formats by.
enum GgufType : int64_t {
  kGgufQ4_0 = 2,
  kGgufQ8_0 = 8,
  kGgufQ4_K = 12,
  kGgufQ6_K = 14,
};

HOST_DEVICE_INLINE float read_half(const uint8_t* bytes) {
  const uint16_t bits = static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
  return static_cast<float>(c10::Half(bits, c10::Half::from_bits()));
}

// Four bits each: the low halves of the bytes are the first 16 weights.
struct GgufQ4_0 {
  static constexpr int kWeights = 32;
  static constexpr int kBytes = 18;

  HOST_DEVICE_INLINE static float value(const uint8_t* block, int i) {
    const uint8_t byte = block[2 + i % 16];
    const int code = i < 16 ? byte & 0xF : byte >> 4;
    return static_cast<float>(code - 8) * read_half(block);
  }
};

struct GgufQ8_0 {
  static constexpr int kWeights = 32;
  static constexpr int kBytes = 34;

  HOST_DEVICE_INLINE static float value(const uint8_t* block, int i) {
    return static_cast<float>(static_cast<int8_t>(block[2 + i])) *
           read_half(block);
  }
};

// Eight runs of 32 weights. A run has a scale and a minimum of six bits each,
// in units of the block's own two; those of the last four runs are split over
// the spare bits of the first ones.
struct GgufQ4_K {
  static constexpr int kWeights = 256;
  static constexpr int kBytes = 144;

  HOST_DEVICE_INLINE static float value(const uint8_t* block, int i) {
    const int run = i / 32;
    const uint8_t* packed = block + 4;
    const int scale = run < 4 ? packed[run] & 63
                              : (packed[run + 4] & 0xF) | (packed[run - 4] >> 6)
                                                              << 4;
    const int minimum = run < 4
                            ? packed[run + 4] & 63
                            : (packed[run + 4] >> 4) | (packed[run] >> 6) << 4;
    const uint8_t byte = block[16 + run / 2 * 32 + i % 32];
    const int code = run % 2 == 0 ? byte & 0xF : byte >> 4;
    return read_half(block) * static_cast<float>(scale * code) -
           read_half(block + 2) * static_cast<float>(minimum);
  }
};

// Two halves of 128 weights: four lower bits from one array, two upper bits
// from another, and a signed scale for every 16 weights.
struct GgufQ6_K {
  static constexpr int kWeights = 256;
  static constexpr int kBytes = 210;

  HOST_DEVICE_INLINE static float value(const uint8_t* block, int i) {
    const int half = i / 128;
    const int quarter = i % 128 / 32;
    const int place = i % 32;
    const uint8_t low = block[half * 64 + quarter % 2 * 32 + place];
    const uint8_t high = block[128 + half * 32 + place];
    const int code =
        (quarter < 2 ? low & 0xF : low >> 4) | (high >> (2 * quarter) & 3) << 4;
    const auto scale = static_cast<int8_t>(block[192 + i / 16]);
    return read_half(block + 208) * static_cast<float>(scale * (code - 32));
  }
};

// Activations are rounded to 8 bits in runs of this many, with one scale each.
constexpr int kGgufRun = 32;

HOST_DEVICE_INLINE float round_to_run(float x, float largest) {
  const float scale = largest / 127.0f;
  return scale == 0.0f ? 0.0f : nearbyintf(x / scale) * scale;
}

}  // namespace samplex
