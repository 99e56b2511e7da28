// Scales that are powers of two, stored as a biased exponent in one byte
// (ue8m0), for CPU and CUDA alike.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "../cuda_compat.h"

namespace samplex {

// The exponent of the smallest power of two that is not below `scale`, which
// must not be negative.
HOST_DEVICE_INLINE uint8_t ue8m0_from_float(float scale) {
  constexpr int kMantissaBits = 23;
  uint32_t bits;
  memcpy(&bits, &scale, sizeof(bits));
  const uint32_t exponent = bits >> kMantissaBits;
  const uint32_t mantissa = bits & ((1u << kMantissaBits) - 1);
  return static_cast<uint8_t>(exponent + (mantissa != 0));
}

HOST_DEVICE_INLINE float ue8m0_to_float(uint8_t exponent) {
  return ldexpf(1.0f, static_cast<int>(exponent) - 127);
}

}  // namespace samplex
