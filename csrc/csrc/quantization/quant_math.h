// Rounding to 8 bits, for CPU and CUDA alike.
#pragma once

#include <c10/util/Float8_e4m3fn.h>
#include <c10/util/Float8_e4m3fnuz.h>

#include <cmath>
#include <cstdint>

#include "../cuda_compat.h"

namespace samplex {

constexpr float kInt8Max = 127.0f;
constexpr float kInt8Min = -128.0f;
constexpr float kInt8Levels = 255.0f;

template <typename fp8_t>
struct Fp8Limits;

template <>
struct Fp8Limits<c10::Float8_e4m3fn> {
  static constexpr float max = 448.0f;
};

template <>
struct Fp8Limits<c10::Float8_e4m3fnuz> {
  static constexpr float max = 240.0f;
};

// A row of zeros has the scale 0: dividing by 1 keeps it zero.
HOST_DEVICE_INLINE float divisor_of(float scale) {
  return scale == 0.0f ? 1.0f : scale;
}

HOST_DEVICE_INLINE int8_t saturate_int8(float x) {
  return static_cast<int8_t>(fminf(fmaxf(x, kInt8Min), kInt8Max));
}

// x / scale to the nearest integer, ties to even, with the zero point added.
HOST_DEVICE_INLINE int8_t quantize_int8(float x, float scale,
                                        int32_t zero_point) {
  return saturate_int8(nearbyintf(x / divisor_of(scale)) +
                       static_cast<float>(zero_point));
}

// The zero point that maps `low` to the lowest code.
HOST_DEVICE_INLINE int32_t zero_point_of(float low, float scale) {
  return static_cast<int32_t>(nearbyintf(kInt8Min - low / divisor_of(scale)));
}

// The conversion makes NaN of what is out of range: clamp first.
template <typename fp8_t>
HOST_DEVICE_INLINE fp8_t quantize_fp8(float x, float scale) {
  constexpr float kMax = Fp8Limits<fp8_t>::max;
  return static_cast<fp8_t>(fminf(fmaxf(x / divisor_of(scale), -kMax), kMax));
}

// The scale of a row for its largest magnitude. Rows near zero get a scale that
// is still a normal number.
template <typename fp8_t>
HOST_DEVICE_INLINE float fp8_token_scale(float largest) {
  constexpr float kMax = Fp8Limits<fp8_t>::max;
  constexpr float kSmallest = 1.0f / (kMax * 512.0f);
  return fmaxf(largest / kMax, kSmallest);
}

}  // namespace samplex
