// What the CPU and the CUDA kernels of deepseek_v4 demand.
#pragma once

#include <torch/types.h>

#include "check_utils.h"
#include "deepseek_v4.h"

namespace samplex {

inline void check_deepseek_v4(torch::Tensor const& q_in,
                              torch::Tensor const& kv,
                              torch::Tensor const& k_cache,
                              torch::Tensor const& slot_mapping,
                              torch::Tensor const& position_ids,
                              torch::Tensor const& cos_sin_cache,
                              int64_t q_head_padded, int64_t cache_block_size) {
  TORCH_CHECK(q_in.dim() == 3 && q_in.size(2) == kV4HeadSize,
              "q_in must be [tokens, heads, ", kV4HeadSize, "]");
  TORCH_CHECK(kv.dim() == 2 && kv.size(1) == kV4HeadSize,
              "kv must be [tokens, ", kV4HeadSize, "]");
  TORCH_CHECK(q_in.is_contiguous(), "q_in must be contiguous");
  TORCH_CHECK(kv.is_contiguous(), "kv must be contiguous");
  TORCH_CHECK(q_in.dtype() == kv.dtype(),
              "q_in and kv must have the same dtype");
  TORCH_CHECK(q_head_padded >= q_in.size(1), "q_head_padded is ", q_head_padded,
              ", less than the ", q_in.size(1), " heads");
  TORCH_CHECK(k_cache.dtype() == torch::kUInt8, "k_cache must be uint8");
  TORCH_CHECK(
      k_cache.dim() == 2 && k_cache.stride(1) == 1 &&
          k_cache.size(1) >= cache_block_size * (kV4TokenBytes + kV4ScaleBytes),
      "k_cache must have room for ", cache_block_size, " tokens in a block");
  TORCH_CHECK(slot_mapping.dtype() == torch::kInt64,
              "slot_mapping must be int64");
  TORCH_CHECK(position_ids.dtype() == torch::kInt64,
              "position_ids must be int64");
  TORCH_CHECK(cos_sin_cache.dtype() == torch::kFloat32,
              "cos_sin_cache must be float32");
  TORCH_CHECK(cos_sin_cache.dim() == 2 && cos_sin_cache.size(1) == kV4RopeSize,
              "cos_sin_cache must be [positions, ", kV4RopeSize, "]");
  CHECK_CONTIGUOUS(cos_sin_cache);
  const int64_t num_tokens = q_in.size(0);
  TORCH_CHECK(kv.size(0) == num_tokens && position_ids.numel() == num_tokens,
              "kv and position_ids must have a row for each of the ",
              num_tokens, " tokens");
  TORCH_CHECK(slot_mapping.numel() <= num_tokens,
              "slot_mapping has more slots than there are tokens");
}

template <typename scalar_t>
V4Arguments<scalar_t> v4_arguments(
    torch::Tensor& q_out, torch::Tensor const& q_in, torch::Tensor const& kv,
    torch::Tensor& k_cache, torch::Tensor const& slot_mapping,
    torch::Tensor const& position_ids, torch::Tensor const& cos_sin_cache,
    double eps, int64_t cache_block_size) {
  return {q_out.data_ptr<scalar_t>(),
          q_in.data_ptr<scalar_t>(),
          kv.data_ptr<scalar_t>(),
          k_cache.data_ptr<uint8_t>(),
          slot_mapping.data_ptr<int64_t>(),
          position_ids.data_ptr<int64_t>(),
          cos_sin_cache.data_ptr<float>(),
          q_in.size(0),
          slot_mapping.numel(),
          q_in.size(1),
          q_out.size(1),
          cache_block_size,
          k_cache.stride(0),
          static_cast<float>(eps)};
}

}  // namespace samplex
