// What the CPU and the CUDA kernels of minimax demand.
#pragma once

#include <torch/types.h>

#include "check_utils.h"
#include "minimax.h"
#include "rank_checks.h"

namespace samplex {

inline RmsGroup check_rms_group(torch::Tensor const& workspace,
                                int64_t const rank, int64_t const nranks) {
  check_rank(rank, nranks);
  CHECK_DTYPE(workspace, at::ScalarType::Long);
  CHECK_CONTIGUOUS(workspace);
  TORCH_CHECK(nranks == 1 || workspace.numel() >= nranks,
              "workspace must have an address for each of the ", nranks,
              " ranks, got ", workspace.numel());
  return {reinterpret_cast<RmsMemory* const*>(workspace.data_ptr()),
          static_cast<int>(rank), static_cast<int>(nranks)};
}

inline void check_rms_weight(torch::Tensor const& input,
                             torch::Tensor const& weight, int64_t const width) {
  CHECK_SAME_DTYPE(input, weight);
  CHECK_CONTIGUOUS(weight);
  TORCH_CHECK(weight.numel() == width, "expected ", width, " weights, got ",
              weight.numel());
}

inline void check_allreduce_rms(torch::Tensor const& input,
                                torch::Tensor const& norm_weight) {
  TORCH_CHECK(input.dim() >= 1, "input must have a dimension");
  CHECK_CONTIGUOUS(input);
  check_rms_weight(input, norm_weight, input.size(-1));
}

inline void check_allreduce_rms_qk(torch::Tensor const& qkv,
                                   torch::Tensor const& norm_weight_q,
                                   torch::Tensor const& norm_weight_k,
                                   int64_t const q_size,
                                   int64_t const kv_size) {
  TORCH_CHECK(qkv.dim() == 2, "minimax_allreduce_rms_qk: qkv must be 2D");
  CHECK_CONTIGUOUS(qkv);
  TORCH_CHECK(qkv.size(-1) == q_size + 2 * kv_size,
              "minimax_allreduce_rms_qk: expected rows of ",
              q_size + 2 * kv_size, " elements, got ", qkv.size(-1));
  check_rms_weight(qkv, norm_weight_q, q_size);
  check_rms_weight(qkv, norm_weight_k, kv_size);
}

template <typename scalar_t>
RmsParts<scalar_t> rms_parts(torch::Tensor& out, torch::Tensor const& input,
                             torch::Tensor const& weight) {
  const int64_t width = input.size(-1);
  return {{{out.data_ptr<scalar_t>(), input.data_ptr<scalar_t>(),
            weight.data_ptr<scalar_t>(), width, width}},
          1};
}

// Query and key stand side by side in the rows of qkv, before the value.
template <typename scalar_t>
RmsParts<scalar_t> rms_parts(torch::Tensor& q, torch::Tensor& k,
                             torch::Tensor const& qkv,
                             torch::Tensor const& weight_q,
                             torch::Tensor const& weight_k) {
  const scalar_t* rows = qkv.data_ptr<scalar_t>();
  const int64_t stride = qkv.size(-1);
  const int64_t q_size = q.size(-1);
  return {{{q.data_ptr<scalar_t>(), rows, weight_q.data_ptr<scalar_t>(), q_size,
            stride},
           {k.data_ptr<scalar_t>(), rows + q_size,
            weight_k.data_ptr<scalar_t>(), k.size(-1), stride}},
          2};
}

}  // namespace samplex
