#include "../deepseek_v4.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "../deepseek_v4_checks.h"
#include "../dispatch_utils.h"
#include "row_grain.h"

namespace samplex {
namespace {

constexpr int kV4Lanes = kV4HeadSize / kV4LaneElements;

template <typename scalar_t>
void store_query_head(const V4Arguments<scalar_t>& a, int64_t token,
                      int64_t head) {
  V4Lane lanes[kV4Lanes] = {};
  if (head < a.heads) {
    float sum = 0.0f;
    for (int i = 0; i < kV4Lanes; ++i) {
      lanes[i].load(a.q_in + (token * a.heads + head) * kV4HeadSize,
                    i * kV4LaneElements);
      sum += lanes[i].sum_of_squares();
    }
    for (int i = 0; i < kV4Lanes; ++i) {
      lanes[i].scale(1.0f / std::sqrt(sum / kV4HeadSize + a.eps));
      lanes[i].rotate(v4_cos_sin(a, token), i * kV4LaneElements);
    }
  }
  for (int i = 0; i < kV4Lanes; ++i) {
    lanes[i].store(a.q_out + (token * a.padded_heads + head) * kV4HeadSize,
                   i * kV4LaneElements);
  }
}

template <typename scalar_t>
void insert_key(const V4Arguments<scalar_t>& a, int64_t token) {
  if (token >= a.inserted || a.slot_mapping[token] < 0) return;
  constexpr int kLanesOfBlock = kV4QuantBlock / kV4LaneElements;
  V4Slot slot(a, a.slot_mapping[token]);
  for (int first = 0; first < kV4Lanes; first += kLanesOfBlock) {
    V4Lane lanes[kLanesOfBlock];
    float largest = 0.0f;
    for (int i = 0; i < kLanesOfBlock; ++i) {
      const int start = (first + i) * kV4LaneElements;
      lanes[i].load(a.kv + token * kV4HeadSize, start);
      lanes[i].rotate(v4_cos_sin(a, token), start);
      largest = std::max(largest, lanes[i].largest());
    }
    for (int i = 0; i < kLanesOfBlock; ++i) {
      slot.store<scalar_t>(lanes[i], (first + i) * kV4LaneElements, largest);
    }
  }
}

}  // namespace
}  // namespace samplex

torch::Tensor fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert_cpu(
    torch::Tensor const& q_in, torch::Tensor const& kv, torch::Tensor& k_cache,
    torch::Tensor const& slot_mapping, torch::Tensor const& position_ids,
    torch::Tensor const& cos_sin_cache, int64_t q_head_padded, double eps,
    int64_t cache_block_size) {
  samplex::check_deepseek_v4(q_in, kv, k_cache, slot_mapping, position_ids,
                             cos_sin_cache, q_head_padded, cache_block_size);
  torch::Tensor q_out = torch::empty(
      {q_in.size(0), q_head_padded, samplex::kV4HeadSize}, q_in.options());
  SAMPLEX_DISPATCH_HALF_TYPES(
      q_in.scalar_type(), "fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert",
      [&] {
        const auto a = samplex::v4_arguments<scalar_t>(
            q_out, q_in, kv, k_cache, slot_mapping, position_ids, cos_sin_cache,
            eps, cache_block_size);
        at::parallel_for(
            0, a.num_tokens,
            samplex::row_grain(a.padded_heads * samplex::kV4HeadSize),
            [&](int64_t begin, int64_t end) {
              for (int64_t token = begin; token < end; ++token) {
                for (int64_t head = 0; head < a.padded_heads; ++head) {
                  samplex::store_query_head(a, token, head);
                }
                samplex::insert_key(a, token);
              }
            });
      });
  return q_out;
}
