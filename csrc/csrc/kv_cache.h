// The types that a cache of keys and values is stored in.
#pragma once

#include <torch/types.h>

#include <string>

#include "check_utils.h"
#include "dispatch_utils.h"

namespace samplex {

// "auto" stands for the dtype of the keys and values themselves; otherwise they
// are scaled and stored as fp8, in tensors of bytes.
inline bool is_fp8_cache(const std::string& kv_cache_dtype) {
  if (kv_cache_dtype == "auto") return false;
  TORCH_CHECK(kv_cache_dtype == "fp8" || kv_cache_dtype == "fp8_e4m3",
              "unsupported dtype of the kv cache: ", kv_cache_dtype);
  return true;
}

inline void check_kv_cache(const torch::Tensor& cache, at::ScalarType dtype,
                           const std::string& kv_cache_dtype) {
  CHECK_DTYPE(cache,
              is_fp8_cache(kv_cache_dtype) ? at::ScalarType::Byte : dtype);
}

inline void check_kv_scale(const torch::Tensor& scale) {
  CHECK_DTYPE(scale, at::ScalarType::Float);
  TORCH_CHECK(scale.numel() == 1, "the scale of a cache is one number, got ",
              scale.numel());
}

// The elements of a cache, whatever dtype its tensor says.
template <typename cache_t>
cache_t* cache_data(const torch::Tensor& cache) {
  return static_cast<cache_t*>(cache.data_ptr());
}

}  // namespace samplex

// Runs the body with scalar_t for the type of keys and values and cache_t for
// the one that they are stored in.
#define SAMPLEX_DISPATCH_KV_CACHE(TYPE, KV_CACHE_DTYPE, NAME, ...) \
  SAMPLEX_DISPATCH_FLOATING_TYPES(TYPE, NAME, [&] {                \
    if (samplex::is_fp8_cache(KV_CACHE_DTYPE)) {                   \
      using cache_t = at::Float8_e4m3fn;                           \
      __VA_ARGS__();                                               \
    } else {                                                       \
      using cache_t = scalar_t;                                    \
      __VA_ARGS__();                                               \
    }                                                              \
  })
