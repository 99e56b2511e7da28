#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <vector>

#include "../dispatch_utils.h"
#include "../quantization/awq/awq_checks.h"
#include "../quantization/awq/awq_format.h"
#include "row_grain.h"

namespace samplex {
namespace {

// Calls `use(column, weight)` for every column of one row of the weight.
template <typename scalar_t, typename Use>
void for_each_weight(const int* weight, const scalar_t* scales,
                     const int* zeros, const AwqShape& shape, int64_t row,
                     const Use& use) {
  for (int64_t word = 0; word < shape.words; ++word) {
    const int64_t group_word = row / shape.group_size * shape.words + word;
    const uint32_t codes = weight[row * shape.words + word];
    for (int i = 0; i < kAwqPack; ++i) {
      const float scale = static_cast<float>(scales[group_word * kAwqPack + i]);
      use(word * kAwqPack + i, awq_weight(codes, zeros[group_word], scale, i));
    }
  }
}

}  // namespace
}  // namespace samplex

// The arguments that shape a CUDA launch have no meaning here.
torch::Tensor awq_dequantize_cpu(const torch::Tensor& kernel,
                                 const torch::Tensor& scaling_factors,
                                 const torch::Tensor& zeros,
                                 int64_t /*split_k_iters*/, int64_t /*thx*/,
                                 int64_t /*thy*/) {
  const auto shape = samplex::check_awq(kernel, scaling_factors, zeros);
  const int64_t columns = shape.words * samplex::kAwqPack;
  auto options = torch::TensorOptions()
                     .dtype(scaling_factors.dtype())
                     .device(scaling_factors.device());
  torch::Tensor out = torch::empty({shape.rows, columns}, options);

  SAMPLEX_DISPATCH_HALF_TYPES(
      scaling_factors.scalar_type(), "awq_dequantize", [&] {
        scalar_t* out_data = out.data_ptr<scalar_t>();
        const int* weight = kernel.data_ptr<int>();
        const scalar_t* scales = scaling_factors.data_ptr<scalar_t>();
        const int* zero_words = zeros.data_ptr<int>();
        at::parallel_for(0, shape.rows, samplex::row_grain(columns),
                         [&](int64_t begin, int64_t end) {
                           for (int64_t row = begin; row < end; ++row) {
                             samplex::for_each_weight(
                                 weight, scales, zero_words, shape, row,
                                 [&](int64_t column, float value) {
                                   out_data[row * columns + column] =
                                       static_cast<scalar_t>(value);
                                 });
                           }
                         });
      });
  return out;
}

torch::Tensor awq_gemm_cpu(const torch::Tensor& in_feats,
                           const torch::Tensor& kernel,
                           const torch::Tensor& scaling_factors,
                           const torch::Tensor& zeros, int64_t split_k_iters) {
  const auto shape = samplex::check_awq(kernel, scaling_factors, zeros);
  samplex::check_awq_input(in_feats, scaling_factors, shape.rows,
                           split_k_iters);
  const int64_t columns = shape.words * samplex::kAwqPack;
  const int64_t num_tokens = in_feats.size(0);
  const auto input = in_feats.contiguous();
  torch::Tensor out = torch::empty({num_tokens, columns}, in_feats.options());

  SAMPLEX_DISPATCH_HALF_TYPES(in_feats.scalar_type(), "awq_gemm", [&] {
    scalar_t* out_data = out.data_ptr<scalar_t>();
    const scalar_t* input_data = input.data_ptr<scalar_t>();
    const int* weight = kernel.data_ptr<int>();
    const scalar_t* scales = scaling_factors.data_ptr<scalar_t>();
    const int* zero_words = zeros.data_ptr<int>();
    at::parallel_for(
        0, num_tokens, samplex::row_grain(shape.rows * columns),
        [&](int64_t begin, int64_t end) {
          std::vector<float> sum(columns);
          for (int64_t token = begin; token < end; ++token) {
            std::fill(sum.begin(), sum.end(), 0.0f);
            for (int64_t row = 0; row < shape.rows; ++row) {
              const float x =
                  static_cast<float>(input_data[token * shape.rows + row]);
              samplex::for_each_weight(weight, scales, zero_words, shape, row,
                                       [&](int64_t column, float value) {
                                         sum[column] += x * value;
                                       });
            }
            for (int64_t column = 0; column < columns; ++column) {
              out_data[token * columns + column] =
                  static_cast<scalar_t>(sum[column]);
            }
          }
        });
  });
  return out;
}
