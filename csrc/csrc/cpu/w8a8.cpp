#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <optional>
#include <vector>

#include "../dispatch_utils.h"
#include "../quantization/quant_math.h"
#include "../quantization/w8a8/w8a8_checks.h"
#include "row_grain.h"

namespace samplex {
namespace {

template <typename scalar_t>
void quantize_int8_row(int8_t* out, const scalar_t* row, int64_t width,
                       float scale, int32_t zero_point) {
  for (int64_t i = 0; i < width; ++i) {
    out[i] = quantize_int8(static_cast<float>(row[i]), scale, zero_point);
  }
}

template <typename fp8_t, typename scalar_t>
void quantize_fp8_row(fp8_t* out, const scalar_t* row, int64_t width,
                      const float* scales, int64_t group_columns) {
  for (int64_t i = 0; i < width; ++i) {
    out[i] = quantize_fp8<fp8_t>(static_cast<float>(row[i]),
                                 scales[i / group_columns]);
  }
}

template <typename scalar_t>
float largest_magnitude(const scalar_t* values, int64_t count) {
  float largest = 0.0f;
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::fabs(static_cast<float>(values[i])));
  }
  return largest;
}

}  // namespace
}  // namespace samplex

void static_scaled_int8_quant_cpu(torch::Tensor& out,
                                  const torch::Tensor& input,
                                  const torch::Tensor& scale,
                                  const std::optional<torch::Tensor>& azp) {
  samplex::check_int8_quant(out, input, scale, azp, 1);
  const float factor = *scale.data_ptr<float>();
  const int32_t zero_point = azp.has_value() ? *azp->data_ptr<int32_t>() : 0;
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      input.scalar_type(), "static_scaled_int8_quant", [&] {
        int8_t* out_data = out.data_ptr<int8_t>();
        const scalar_t* data = input.data_ptr<scalar_t>();
        at::parallel_for(0, input.numel(), samplex::row_grain(1),
                         [&](int64_t begin, int64_t end) {
                           samplex::quantize_int8_row(out_data + begin,
                                                      data + begin, end - begin,
                                                      factor, zero_point);
                         });
      });
}

void dynamic_scaled_int8_quant_cpu(torch::Tensor& out,
                                   const torch::Tensor& input,
                                   torch::Tensor& scales,
                                   const std::optional<torch::Tensor>& azp) {
  const int64_t width = input.size(-1);
  const int64_t num_rows = samplex::row_count(input.numel(), width);
  samplex::check_int8_quant(out, input, scales, azp, num_rows);
  float* scale_data = scales.data_ptr<float>();
  int32_t* azp_data = azp.has_value() ? azp->data_ptr<int32_t>() : nullptr;

  SAMPLEX_DISPATCH_FLOATING_TYPES(
      input.scalar_type(), "dynamic_scaled_int8_quant", [&] {
        int8_t* out_data = out.data_ptr<int8_t>();
        const scalar_t* data = input.data_ptr<scalar_t>();
        at::parallel_for(
            0, num_rows, samplex::row_grain(width),
            [&](int64_t begin, int64_t end) {
              for (int64_t row = begin; row < end; ++row) {
                const scalar_t* values = data + row * width;
                float low = FLT_MAX;
                float high = -FLT_MAX;
                for (int64_t i = 0; i < width; ++i) {
                  const float x = static_cast<float>(values[i]);
                  low = std::min(low, x);
                  high = std::max(high, x);
                }
                const bool symmetric = azp_data == nullptr;
                const float scale =
                    symmetric ? std::max(-low, high) / samplex::kInt8Max
                              : (high - low) / samplex::kInt8Levels;
                const int32_t zero_point =
                    symmetric ? 0 : samplex::zero_point_of(low, scale);
                scale_data[row] = scale;
                if (!symmetric) azp_data[row] = zero_point;
                samplex::quantize_int8_row(out_data + row * width, values,
                                           width, scale, zero_point);
              }
            });
      });
}

// Runs the body with scalar_t for the input's type and fp8_t for the output's.
#define DISPATCH_FP8_QUANT(NAME, ...)                                 \
  SAMPLEX_DISPATCH_FLOATING_TYPES(input.scalar_type(), NAME, [&] {    \
    SAMPLEX_DISPATCH_FP8_TYPES(out.scalar_type(), NAME, __VA_ARGS__); \
  })

void static_scaled_fp8_quant_cpu(
    torch::Tensor& out, const torch::Tensor& input, const torch::Tensor& scale,
    const std::optional<std::vector<int64_t>>& group_shape) {
  const auto groups =
      samplex::check_static_fp8_quant(out, input, scale, group_shape);
  const int64_t width = input.size(-1);
  const int64_t num_rows = samplex::row_count(input.numel(), width);
  const float* scale_data = scale.data_ptr<float>();
  DISPATCH_FP8_QUANT("static_scaled_fp8_quant", [&] {
    fp8_t* out_data = out.data_ptr<fp8_t>();
    const scalar_t* data = input.data_ptr<scalar_t>();
    at::parallel_for(0, num_rows, samplex::row_grain(width),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         samplex::quantize_fp8_row(
                             out_data + row * width, data + row * width, width,
                             scale_data + row / groups.rows * groups.per_row,
                             groups.columns);
                       }
                     });
  });
}

void dynamic_scaled_fp8_quant_cpu(torch::Tensor& out,
                                  const torch::Tensor& input,
                                  torch::Tensor& scale) {
  samplex::check_dynamic_fp8_quant(out, input, scale, 1);
  float* scale_data = scale.data_ptr<float>();
  DISPATCH_FP8_QUANT("dynamic_scaled_fp8_quant", [&] {
    fp8_t* out_data = out.data_ptr<fp8_t>();
    const scalar_t* data = input.data_ptr<scalar_t>();
    *scale_data = samplex::largest_magnitude(data, input.numel()) /
                  samplex::Fp8Limits<fp8_t>::max;
    at::parallel_for(0, input.numel(), samplex::row_grain(1),
                     [&](int64_t begin, int64_t end) {
                       const int64_t count = end - begin;
                       samplex::quantize_fp8_row(out_data + begin, data + begin,
                                                 count, scale_data, count);
                     });
  });
}

void dynamic_per_token_scaled_fp8_quant_cpu(
    torch::Tensor& out, const torch::Tensor& input, torch::Tensor& scales,
    const std::optional<torch::Tensor>& scale_ub) {
  const int64_t width = input.size(-1);
  const int64_t num_rows = samplex::row_count(input.numel(), width);
  samplex::check_dynamic_fp8_quant(out, input, scales, num_rows);
  float* scale_data = scales.data_ptr<float>();
  const float bound =
      scale_ub.has_value() ? *scale_ub->data_ptr<float>() : FLT_MAX;
  DISPATCH_FP8_QUANT("dynamic_per_token_scaled_fp8_quant", [&] {
    fp8_t* out_data = out.data_ptr<fp8_t>();
    const scalar_t* data = input.data_ptr<scalar_t>();
    at::parallel_for(
        0, num_rows, samplex::row_grain(width),
        [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) {
            const scalar_t* values = data + row * width;
            const float largest =
                std::min(samplex::largest_magnitude(values, width), bound);
            scale_data[row] = samplex::fp8_token_scale<fp8_t>(largest);
            samplex::quantize_fp8_row(out_data + row * width, values, width,
                                      scale_data + row, width);
          }
        });
  });
}
