// The activations as functions of floats, for CPU and CUDA alike.
#pragma once

#include <cmath>

#include "cuda_compat.h"

namespace samplex {

constexpr float kSqrt2OverPi = 0.7978845608028654f;
constexpr float kSqrtHalf = 0.7071067811865476f;
constexpr float kGeluCubic = 0.044715f;

HOST_DEVICE_INLINE float silu(float x) { return x / (1.0f + expf(-x)); }

HOST_DEVICE_INLINE float gelu_erf(float x) {
  return 0.5f * x * (1.0f + erff(x * kSqrtHalf));
}

HOST_DEVICE_INLINE float gelu_tanh(float x) {
  const float inner = kSqrt2OverPi * (x + kGeluCubic * x * x * x);
  return 0.5f * x * (1.0f + tanhf(inner));
}

// Functors of the gated activations: (first half, second half) -> result.
struct SiluAndMul {
  HOST_DEVICE_INLINE float operator()(float x, float y) const {
    return silu(x) * y;
  }
};

struct SiluAndMulClamp {
  float limit;

  // The gate is limited from above only: silu is bounded below by itself.
  HOST_DEVICE_INLINE float operator()(float x, float y) const {
    return silu(fminf(x, limit)) * fmaxf(fminf(y, limit), -limit);
  }
};

struct MulAndSilu {
  HOST_DEVICE_INLINE float operator()(float x, float y) const {
    return x * silu(y);
  }
};

struct GeluAndMul {
  HOST_DEVICE_INLINE float operator()(float x, float y) const {
    return gelu_erf(x) * y;
  }
};

struct GeluTanhAndMul {
  HOST_DEVICE_INLINE float operator()(float x, float y) const {
    return gelu_tanh(x) * y;
  }
};

struct FatreluAndMul {
  float threshold;

  HOST_DEVICE_INLINE float operator()(float x, float y) const {
    return x > threshold ? x * y : 0.0f;
  }
};

// Functors of the elementwise activations.
struct GeluNew {
  HOST_DEVICE_INLINE float operator()(float x) const { return gelu_tanh(x); }
};

struct GeluFast {
  HOST_DEVICE_INLINE float operator()(float x) const {
    const float inner = kSqrt2OverPi * x * (1.0f + kGeluCubic * x * x);
    return 0.5f * x * (1.0f + tanhf(inner));
  }
};

struct GeluQuick {
  HOST_DEVICE_INLINE float operator()(float x) const {
    return x / (1.0f + expf(-1.702f * x));
  }
};

}  // namespace samplex
