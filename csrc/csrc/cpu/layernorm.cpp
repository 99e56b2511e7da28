#include <ATen/Parallel.h>
#include <torch/types.h>

#include <cmath>

#include "../dispatch_utils.h"
#include "../layernorm_checks.h"
#include "row_grain.h"

namespace samplex {
namespace {

// 1 / sqrt(mean of squares + epsilon) of one row.
template <typename scalar_t>
float inverse_rms(const scalar_t* row, int64_t width, float epsilon) {
  float sum_of_squares = 0.0f;
  for (int64_t i = 0; i < width; ++i) {
    const float x = static_cast<float>(row[i]);
    sum_of_squares += x * x;
  }
  return 1.0f / std::sqrt(sum_of_squares / static_cast<float>(width) + epsilon);
}

template <typename scalar_t>
void normalize_row(scalar_t* out, const scalar_t* row, const scalar_t* weight,
                   int64_t width, float epsilon) {
  const float scale = inverse_rms(row, width, epsilon);
  for (int64_t i = 0; i < width; ++i) {
    out[i] = static_cast<scalar_t>(static_cast<float>(row[i]) * scale *
                                   static_cast<float>(weight[i]));
  }
}

}  // namespace
}  // namespace samplex

void rms_norm_cpu(torch::Tensor& out, const torch::Tensor& input,
                  const torch::Tensor& weight, double epsilon) {
  samplex::check_rms_norm(out, input, weight);
  const int64_t width = input.size(-1);
  const int64_t num_rows = samplex::row_count(input.numel(), width);
  // Evenly spaced rows are read in place, anything else from a copy.
  const auto rows = samplex::has_even_rows(input) ? input : input.contiguous();
  const int64_t stride = samplex::row_stride(rows);

  SAMPLEX_DISPATCH_FLOATING_TYPES(input.scalar_type(), "rms_norm", [&] {
    scalar_t* out_data = out.data_ptr<scalar_t>();
    const scalar_t* row_data = rows.data_ptr<scalar_t>();
    const scalar_t* weight_data = weight.data_ptr<scalar_t>();
    at::parallel_for(0, num_rows, samplex::row_grain(width),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         samplex::normalize_row(
                             out_data + row * width, row_data + row * stride,
                             weight_data, width, static_cast<float>(epsilon));
                       }
                     });
  });
}

void fused_add_rms_norm_cpu(torch::Tensor& input, torch::Tensor& residual,
                            const torch::Tensor& weight, double epsilon) {
  samplex::check_fused_add_rms_norm(input, residual, weight);
  const int64_t width = input.size(-1);
  const int64_t num_rows = samplex::row_count(input.numel(), width);
  const int64_t stride = samplex::row_stride(input);

  SAMPLEX_DISPATCH_FLOATING_TYPES(
      input.scalar_type(), "fused_add_rms_norm", [&] {
        scalar_t* input_data = input.data_ptr<scalar_t>();
        scalar_t* residual_data = residual.data_ptr<scalar_t>();
        const scalar_t* weight_data = weight.data_ptr<scalar_t>();
        at::parallel_for(
            0, num_rows, samplex::row_grain(width),
            [&](int64_t begin, int64_t end) {
              for (int64_t row = begin; row < end; ++row) {
                scalar_t* x = input_data + row * stride;
                scalar_t* sum = residual_data + row * width;
                for (int64_t i = 0; i < width; ++i) {
                  sum[i] = static_cast<scalar_t>(static_cast<float>(x[i]) +
                                                 static_cast<float>(sum[i]));
                }
                samplex::normalize_row(x, sum, weight_data, width,
                                       static_cast<float>(epsilon));
              }
            });
      });
}
