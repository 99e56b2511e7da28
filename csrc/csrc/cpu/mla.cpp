#include <ATen/Parallel.h>
#include <torch/library.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../attention/mla/mla_checks.h"
#include "../core/registration.h"
#include "../dispatch_utils.h"
#include "row_grain.h"

namespace samplex {
namespace {

template <typename scalar_t>
float dot(const scalar_t* a, const scalar_t* b, int64_t count) {
  float sum = 0.0f;
  for (int64_t i = 0; i < count; ++i) {
    sum += static_cast<float>(a[i]) * static_cast<float>(b[i]);
  }
  return sum;
}

// The latents of `rows`, weighted by the softmax of their scores, into `out`;
// returns the log-sum-exp of the scores.
template <typename scalar_t>
float attend(scalar_t* out, const std::vector<const scalar_t*>& rows,
             std::vector<float>& scores, int64_t latent) {
  const float largest =
      rows.empty() ? 0.0f : *std::max_element(scores.begin(), scores.end());
  float weights = 0.0f;
  for (float& score : scores) {
    score = std::exp(score - largest);
    weights += score;
  }
  for (int64_t i = 0; i < latent; ++i) {
    float sum = 0.0f;
    for (size_t key = 0; key < rows.size(); ++key) {
      sum += scores[key] * static_cast<float>(rows[key][i]);
    }
    out[i] = static_cast<scalar_t>(rows.empty() ? 0.0f : sum / weights);
  }
  return rows.empty() ? -std::numeric_limits<float>::infinity()
                      : largest + std::log(weights);
}

}  // namespace
}  // namespace samplex

// One pass over the keys: there is nothing to split, and no workspace to need.
void sm100_cutlass_mla_decode_cpu(
    torch::Tensor& out, torch::Tensor& lse, torch::Tensor const& q_nope,
    torch::Tensor const& q_pe, torch::Tensor const& kv_c_and_k_pe_cache,
    torch::Tensor const& seq_lens, torch::Tensor const& page_table,
    torch::Tensor const& workspace, double sm_scale, int64_t num_kv_splits) {
  samplex::check_mla_decode(out, lse, q_nope, q_pe, kv_c_and_k_pe_cache,
                            seq_lens, page_table);
  const int64_t heads = q_nope.size(1);
  const int64_t latent = q_nope.size(2);
  const int64_t rope = q_pe.size(2);
  const int64_t page_size = kv_c_and_k_pe_cache.size(1);
  const int64_t row_size = latent + rope;

  SAMPLEX_DISPATCH_HALF_TYPES(q_nope.scalar_type(), "mla_decode", [&] {
    const scalar_t* cache = kv_c_and_k_pe_cache.data_ptr<scalar_t>();
    at::parallel_for(
        0, q_nope.size(0) * heads, samplex::row_grain(page_size * row_size),
        [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t token = i / heads;
            const int64_t head = i % heads;
            const int* pages =
                page_table.data_ptr<int>() + token * page_table.size(1);
            const scalar_t* nope = q_nope.data_ptr<scalar_t>() +
                                   token * q_nope.stride(0) +
                                   head * q_nope.stride(1);
            const scalar_t* pe = q_pe.data_ptr<scalar_t>() +
                                 token * q_pe.stride(0) + head * q_pe.stride(1);
            std::vector<const scalar_t*> rows;
            std::vector<float> scores;
            for (int key = 0; key < seq_lens.data_ptr<int>()[token]; ++key) {
              const int64_t at =
                  pages[key / page_size] * page_size + key % page_size;
              rows.push_back(cache + at * row_size);
              scores.push_back((samplex::dot(nope, rows.back(), latent) +
                                samplex::dot(pe, rows.back() + latent, rope)) *
                               static_cast<float>(sm_scale));
            }
            lse.data_ptr<float>()[i] = samplex::attend(
                out.data_ptr<scalar_t>() + i * latent, rows, scores, latent);
          }
        });
  });
}

int64_t sm100_cutlass_mla_get_workspace_size(int64_t max_seq_len,
                                             int64_t num_batches,
                                             int64_t sm_count,
                                             int64_t num_kv_splits) {
  return samplex::mla_workspace_size(
      samplex::mla_splits(max_seq_len, num_batches, sm_count, num_kv_splits),
      num_batches);
}

TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CPU, m) {
  m.impl("sm100_cutlass_mla_decode", &sm100_cutlass_mla_decode_cpu);
}

TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CatchAll, m) {
  m.impl("sm100_cutlass_mla_get_workspace_size",
         &sm100_cutlass_mla_get_workspace_size);
}
