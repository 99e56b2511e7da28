#include "../minimax.h"

#include <torch/types.h>

#include <cmath>
#include <tuple>

#include "../dispatch_utils.h"
#include "../minimax_checks.h"
#include "rank_barrier.h"

namespace samplex {
namespace {

template <typename scalar_t>
float sum_of_squares(const RmsPart<scalar_t>& part, int64_t row) {
  const scalar_t* input = part.input + row * part.input_stride;
  float sum = 0.0f;
  for (int64_t i = 0; i < part.width; ++i) {
    const float x = static_cast<float>(input[i]);
    sum += x * x;
  }
  return sum;
}

template <typename scalar_t>
void normalize_part(const RmsPart<scalar_t>& part, int64_t row, float scale) {
  const scalar_t* input = part.input + row * part.input_stride;
  for (int64_t i = 0; i < part.width; ++i) {
    part.out[row * part.width + i] =
        static_cast<scalar_t>(static_cast<float>(input[i]) * scale *
                              static_cast<float>(part.weight[i]));
  }
}

// The sums of a row over all ranks, in place.
void exchange_sums(float* sums, int num_parts, const RmsGroup& group,
                   const Peers& peers) {
  RmsMemory* own = group.memory[group.rank];
  const uint32_t next = own->signals.passed[0] + 1;
  for (int part = 0; part < num_parts; ++part) {
    own->sums[next % 2][0][part] = sums[part];
  }
  const uint32_t barrier = rank_barrier(peers);
  for (int part = 0; part < num_parts; ++part) {
    sums[part] = group.total(barrier, 0, part);
  }
}

template <typename scalar_t>
void reduce_rms(const RmsParts<scalar_t>& parts, const RmsGroup& group,
                int64_t num_rows, double eps) {
  const Peers peers = group.count > 1 ? group.peers() : Peers{};
  for (int64_t row = 0; row < num_rows; ++row) {
    float sums[kMaxRmsParts] = {};
    for (int part = 0; part < parts.count; ++part) {
      sums[part] = sum_of_squares(parts.of[part], row);
    }
    if (group.count > 1) exchange_sums(sums, parts.count, group, peers);
    for (int part = 0; part < parts.count; ++part) {
      const float width =
          static_cast<float>(parts.of[part].width * group.count);
      normalize_part(
          parts.of[part], row,
          1.0f / std::sqrt(sums[part] / width + static_cast<float>(eps)));
    }
  }
}

}  // namespace
}  // namespace samplex

torch::Tensor minimax_allreduce_rms_cpu(torch::Tensor const& input,
                                        torch::Tensor const& norm_weight,
                                        torch::Tensor workspace,
                                        int64_t const rank,
                                        int64_t const nranks,
                                        double const eps) {
  const auto group = samplex::check_rms_group(workspace, rank, nranks);
  samplex::check_allreduce_rms(input, norm_weight);
  torch::Tensor out = torch::empty_like(input);
  const int64_t num_rows = samplex::row_count(input.numel(), input.size(-1));
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      input.scalar_type(), "minimax_allreduce_rms", [&] {
        samplex::reduce_rms(
            samplex::rms_parts<scalar_t>(out, input, norm_weight), group,
            num_rows, eps);
      });
  return out;
}

std::tuple<torch::Tensor, torch::Tensor> minimax_allreduce_rms_qk_cpu(
    torch::Tensor qkv, torch::Tensor const& norm_weight_q,
    torch::Tensor const& norm_weight_k, torch::Tensor workspace,
    int64_t const q_size, int64_t const kv_size, int64_t const rank,
    int64_t const nranks, double const eps) {
  const auto group = samplex::check_rms_group(workspace, rank, nranks);
  samplex::check_allreduce_rms_qk(qkv, norm_weight_q, norm_weight_k, q_size,
                                  kv_size);
  const int64_t num_tokens = qkv.size(0);
  torch::Tensor q = torch::empty({num_tokens, q_size}, qkv.options());
  torch::Tensor k = torch::empty({num_tokens, kv_size}, qkv.options());
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      qkv.scalar_type(), "minimax_allreduce_rms_qk", [&] {
        samplex::reduce_rms(samplex::rms_parts<scalar_t>(
                                q, k, qkv, norm_weight_q, norm_weight_k),
                            group, num_tokens, eps);
      });
  return {q, k};
}
