// What the CPU and the CUDA kernels of nvfp4_cache demand.
#pragma once

#include <torch/types.h>

#include "check_utils.h"
#include "nvfp4_cache.h"

namespace samplex {

inline void check_nvfp4_part(torch::Tensor const& input,
                             torch::Tensor const& cache,
                             torch::Tensor const& scale, const char* name) {
  TORCH_CHECK(input.dim() == 3 && input.stride(2) == 1, name,
              " must be [tokens, heads, head_size], heads in a row");
  TORCH_CHECK(input.size(2) % kFp4Block == 0,
              "head_size must be a multiple of ", kFp4Block, ", got ",
              input.size(2));
  TORCH_CHECK(cache.dim() == 4 && cache.stride(3) == 1, name,
              "_cache must be [blocks, heads, block_size, bytes], bytes in a "
              "row");
  CHECK_DTYPE(cache, at::ScalarType::Byte);
  TORCH_CHECK(cache.size(1) == input.size(1) &&
                  cache.size(3) == fp4_head_bytes(input.size(2)),
              name, "_cache must have ", input.size(1), " heads of ",
              fp4_head_bytes(input.size(2)), " bytes");
  CHECK_DTYPE(scale, at::ScalarType::Float);
  TORCH_CHECK_EQ(scale.numel(), 1);
}

inline void check_nvfp4_cache(torch::Tensor const& key,
                              torch::Tensor const& value,
                              torch::Tensor const& key_cache,
                              torch::Tensor const& value_cache,
                              torch::Tensor const& slot_mapping,
                              torch::Tensor const& k_scale,
                              torch::Tensor const& v_scale) {
  check_nvfp4_part(key, key_cache, k_scale, "key");
  check_nvfp4_part(value, value_cache, v_scale, "value");
  CHECK_SAME_DTYPE(key, value);
  CHECK_DTYPE(slot_mapping, at::ScalarType::Long);
  CHECK_CONTIGUOUS(slot_mapping);
  TORCH_CHECK(key.sizes() == value.sizes(),
              "key and value must have the same shape");
  TORCH_CHECK(key_cache.sizes() == value_cache.sizes(),
              "key_cache and value_cache must have the same shape");
  TORCH_CHECK(slot_mapping.numel() <= key.size(0),
              "slot_mapping has more slots than there are tokens");
}

template <typename scalar_t>
Fp4Part<scalar_t> fp4_part(torch::Tensor const& input, torch::Tensor& cache,
                           torch::Tensor const& scale) {
  return {input.data_ptr<scalar_t>(),
          input.stride(0),
          input.stride(1),
          {cache.data_ptr<uint8_t>(), cache.stride(0), cache.stride(1),
           cache.stride(2)},
          scale.data_ptr<float>()};
}

template <typename scalar_t>
Fp4Arguments<scalar_t> fp4_arguments(torch::Tensor const& key,
                                     torch::Tensor const& value,
                                     torch::Tensor& key_cache,
                                     torch::Tensor& value_cache,
                                     torch::Tensor const& slot_mapping,
                                     torch::Tensor const& k_scale,
                                     torch::Tensor const& v_scale) {
  return {fp4_part<scalar_t>(key, key_cache, k_scale),
          fp4_part<scalar_t>(value, value_cache, v_scale),
          slot_mapping.data_ptr<int64_t>(),
          slot_mapping.numel(),
          key.size(1),
          key.size(2),
          key_cache.size(2)};
}

}  // namespace samplex
