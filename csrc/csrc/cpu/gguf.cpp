#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "../dispatch_utils.h"
#include "../quantization/gguf/gguf_checks.h"
#include "../quantization/gguf/gguf_format.h"
#include "row_grain.h"

namespace samplex {
namespace {

template <typename Format>
float weight_at(const uint8_t* blocks, int64_t i) {
  return Format::value(blocks + i / Format::kWeights * Format::kBytes,
                       static_cast<int>(i % Format::kWeights));
}

// The row rounded to 8 bits, run by run, as floats.
template <typename scalar_t>
std::vector<float> rounded_row(const scalar_t* row, int64_t width) {
  std::vector<float> result(width);
  for (int64_t start = 0; start < width; start += kGgufRun) {
    float largest = 0.0f;
    for (int64_t i = start; i < start + kGgufRun; ++i) {
      result[i] = static_cast<float>(row[i]);
      largest = std::max(largest, std::fabs(result[i]));
    }
    for (int64_t i = start; i < start + kGgufRun; ++i) {
      result[i] = round_to_run(result[i], largest);
    }
  }
  return result;
}

}  // namespace
}  // namespace samplex

torch::Tensor ggml_dequantize_cpu(torch::Tensor W, int64_t type, int64_t m,
                                  int64_t n,
                                  const std::optional<at::ScalarType>& dtype) {
  const auto out_dtype = dtype.value_or(at::ScalarType::Half);
  auto options = torch::TensorOptions().dtype(out_dtype).device(W.device());
  torch::Tensor out = torch::empty({m, n}, options);
  samplex::with_gguf_format(type, [&](auto format) {
    using Format = decltype(format);
    samplex::check_gguf_weight<Format>(W, m, n);
    const uint8_t* blocks = W.data_ptr<uint8_t>();
    SAMPLEX_DISPATCH_FLOATING_TYPES(out_dtype, "ggml_dequantize", [&] {
      scalar_t* out_data = out.data_ptr<scalar_t>();
      at::parallel_for(0, out.numel(), samplex::row_grain(1),
                       [&](int64_t begin, int64_t end) {
                         for (int64_t i = begin; i < end; ++i) {
                           out_data[i] = static_cast<scalar_t>(
                               samplex::weight_at<Format>(blocks, i));
                         }
                       });
    });
  });
  return out;
}

torch::Tensor ggml_mul_mat_vec_a8_cpu(torch::Tensor W, torch::Tensor X,
                                      int64_t type, int64_t row) {
  CHECK_DIM(X, 2);
  const int64_t columns = X.size(1);
  const auto input = X.contiguous();
  torch::Tensor out = torch::empty({X.size(0), row}, X.options());
  samplex::with_gguf_format(type, [&](auto format) {
    using Format = decltype(format);
    samplex::check_gguf_weight<Format>(W, row, columns);
    const uint8_t* blocks = W.data_ptr<uint8_t>();
    SAMPLEX_DISPATCH_FLOATING_TYPES(
        X.scalar_type(), "ggml_mul_mat_vec_a8", [&] {
          scalar_t* out_data = out.data_ptr<scalar_t>();
          const scalar_t* input_data = input.data_ptr<scalar_t>();
          for (int64_t token = 0; token < X.size(0); ++token) {
            const auto x =
                samplex::rounded_row(input_data + token * columns, columns);
            at::parallel_for(0, row, samplex::row_grain(columns),
                             [&](int64_t begin, int64_t end) {
                               for (int64_t r = begin; r < end; ++r) {
                                 float sum = 0.0f;
                                 for (int64_t i = 0; i < columns; ++i) {
                                   sum += x[i] * samplex::weight_at<Format>(
                                                     blocks, r * columns + i);
                                 }
                                 out_data[token * row + r] =
                                     static_cast<scalar_t>(sum);
                               }
                             });
          }
        });
  });
  return out;
}

int64_t ggml_moe_get_block_size(int64_t type) {
  int64_t weights = 0;
  samplex::with_gguf_format(
      type, [&](auto format) { weights = decltype(format)::kWeights; });
  return weights;
}
