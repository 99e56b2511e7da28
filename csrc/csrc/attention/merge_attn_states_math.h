// How two partial results of attention are merged, for CPU and CUDA alike.
#pragma once

#include <cmath>
#include <cstdint>

#include "../cuda_compat.h"
#include "../quantization/quant_math.h"

namespace samplex {

// An element of the output: rounded to 16 or 32 bits, or scaled to fp8.
template <typename out_t>
HOST_DEVICE_INLINE out_t convert_output(float x, const float* scale) {
  if constexpr (sizeof(out_t) == 1) {
    return quantize_fp8<out_t>(x, *scale);
  } else {
    return static_cast<out_t>(x);
  }
}

HOST_DEVICE_INLINE bool is_infinite(float x) { return fabsf(x) == INFINITY; }

// What the two parts count for, and the log of the sum of their exponentials.
struct MergeWeights {
  float prefix;
  float suffix;
  float lse;
};

// A part that attended to nothing has an lse of -inf, or of +inf where its
// kernel never set it; it counts for nothing.
HOST_DEVICE_INLINE MergeWeights merge_weights(float prefix_lse,
                                              float suffix_lse) {
  const float p = is_infinite(prefix_lse) ? -INFINITY : prefix_lse;
  const float s = is_infinite(suffix_lse) ? -INFINITY : suffix_lse;
  const float largest = fmaxf(p, s);
  if (is_infinite(largest)) return {0.0f, 0.0f, -INFINITY};
  const float prefix = expf(p - largest);
  const float suffix = expf(s - largest);
  const float sum = prefix + suffix;
  return {prefix / sum, suffix / sum, logf(sum) + largest};
}

// The tensors of one call: outputs are [tokens, heads, head_size], the others
// [heads, tokens].
template <typename scalar_t, typename out_t>
struct MergeArguments {
  out_t* output;
  float* output_lse;  // null if not wanted
  const scalar_t* prefix_output;
  const float* prefix_lse;
  const scalar_t* suffix_output;
  const float* suffix_lse;
  const float* output_scale;  // for fp8 alone
  int64_t num_tokens;
  int64_t num_heads;
  int64_t head_size;
  int64_t num_merged;  // tokens from here on have no prefix

  HOST_DEVICE_INLINE MergeWeights weights(int64_t token, int64_t head) const {
    const int64_t at = head * num_tokens + token;
    if (token >= num_merged) return {0.0f, 1.0f, suffix_lse[at]};
    return merge_weights(prefix_lse[at], suffix_lse[at]);
  }

  // A part that counts for nothing is not read: it may hold anything.
  HOST_DEVICE_INLINE void merge(int64_t i, const MergeWeights& w) const {
    float x = 0.0f;
    if (w.prefix > 0.0f) x += w.prefix * static_cast<float>(prefix_output[i]);
    if (w.suffix > 0.0f) x += w.suffix * static_cast<float>(suffix_output[i]);
    output[i] = convert_output<out_t>(x, output_scale);
  }
};

}  // namespace samplex
