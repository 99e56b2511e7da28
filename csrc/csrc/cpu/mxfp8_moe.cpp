#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "../dispatch_utils.h"
#include "../moe/mxfp8_moe/mxfp8_moe_checks.h"
#include "../quantization/quant_math.h"
#include "../quantization/ue8m0.h"
#include "row_grain.h"

namespace samplex {
namespace {

using fp8_t = c10::Float8_e4m3fn;

// Quantises one block of 32 and returns the exponent of its scale.
template <typename scalar_t>
uint8_t quantize_mx_block(fp8_t* out, const scalar_t* input) {
  float largest = 0.0f;
  for (int i = 0; i < kMxBlock; ++i) {
    largest = std::max(largest, std::fabs(static_cast<float>(input[i])));
  }
  const uint8_t exponent = ue8m0_from_float(largest / Fp8Limits<fp8_t>::max);
  const float scale = ue8m0_to_float(exponent);
  for (int i = 0; i < kMxBlock; ++i) {
    out[i] = quantize_fp8<fp8_t>(static_cast<float>(input[i]), scale);
  }
  return exponent;
}

// The scales of one row of an expert, and the row.
struct MxRow {
  const fp8_t* values;
  const uint8_t* scales;
  int64_t row;

  float scale(int64_t block, int64_t blocks) const {
    return ue8m0_to_float(scales[mx_scale_offset(row, block, blocks)]);
  }
};

float mx_dot(const MxRow& a, const MxRow& b, int64_t blocks) {
  float sum = 0.0f;
  for (int64_t block = 0; block < blocks; ++block) {
    float part = 0.0f;
    for (int64_t i = block * kMxBlock; i < (block + 1) * kMxBlock; ++i) {
      part += static_cast<float>(a.values[i]) * static_cast<float>(b.values[i]);
    }
    sum += part * a.scale(block, blocks) * b.scale(block, blocks);
  }
  return sum;
}

}  // namespace
}  // namespace samplex

void mxfp8_experts_quant_cpu(const torch::Tensor& input,
                             const torch::Tensor& problem_sizes,
                             const torch::Tensor& expert_offsets,
                             const torch::Tensor& blockscale_offsets,
                             torch::Tensor& quant_output,
                             torch::Tensor& scale_factor) {
  const auto groups = samplex::check_mx_groups(problem_sizes, expert_offsets,
                                               blockscale_offsets);
  samplex::check_mxfp8_experts_quant(input, quant_output, scale_factor);
  const int64_t k = input.size(1);
  const int64_t blocks = k / samplex::kMxBlock;
  SAMPLEX_DISPATCH_HALF_TYPES(input.scalar_type(), "mxfp8_experts_quant", [&] {
    const scalar_t* rows = input.data_ptr<scalar_t>();
    auto* out = quant_output.data_ptr<samplex::fp8_t>();
    for (int64_t expert = 0; expert < groups.count; ++expert) {
      uint8_t* scales = scale_factor.data_ptr<uint8_t>() +
                        groups.blockscale_offsets[expert] * blocks;
      for (int64_t row = 0; row < groups.rows(expert); ++row) {
        const int64_t at = groups.expert_offsets[expert] + row;
        for (int64_t block = 0; block < blocks; ++block) {
          const int64_t column = block * samplex::kMxBlock;
          scales[samplex::mx_scale_offset(row, block, blocks)] =
              samplex::quantize_mx_block(out + at * k + column,
                                         rows + at * input.stride(0) + column);
        }
      }
    }
  });
}

void cutlass_mxfp8_grouped_mm_cpu(const torch::Tensor& a,
                                  const torch::Tensor& b,
                                  const torch::Tensor& sfa,
                                  const torch::Tensor& sfb, torch::Tensor& out,
                                  const torch::Tensor& problem_sizes,
                                  const torch::Tensor& expert_offsets,
                                  const torch::Tensor& blockscale_offsets) {
  const auto groups = samplex::check_mx_groups(problem_sizes, expert_offsets,
                                               blockscale_offsets);
  samplex::check_mxfp8_grouped_mm(a, b, sfa, sfb, out, groups);
  const int64_t n = b.size(2);
  const int64_t k = a.size(1);
  const int64_t blocks = k / samplex::kMxBlock;
  const auto* rows = a.data_ptr<samplex::fp8_t>();
  const auto* columns = b.data_ptr<samplex::fp8_t>();
  SAMPLEX_DISPATCH_HALF_TYPES(
      out.scalar_type(), "cutlass_mxfp8_grouped_mm", [&] {
        scalar_t* result = out.data_ptr<scalar_t>();
        for (int64_t expert = 0; expert < groups.count; ++expert) {
          const uint8_t* row_scales =
              sfa.data_ptr<uint8_t>() +
              groups.blockscale_offsets[expert] * blocks;
          const uint8_t* column_scales =
              sfb.data_ptr<uint8_t>() +
              expert * samplex::mx_padded_rows(n) * blocks;
          const int64_t first = groups.expert_offsets[expert];
          at::parallel_for(
              0, groups.rows(expert), samplex::row_grain(n * k),
              [&](int64_t begin, int64_t end) {
                for (int64_t row = begin; row < end; ++row) {
                  const samplex::MxRow x{rows + (first + row) * a.stride(0),
                                         row_scales, row};
                  for (int64_t column = 0; column < n; ++column) {
                    const samplex::MxRow w{
                        columns + expert * b.stride(0) + column * b.stride(2),
                        column_scales, column};
                    result[(first + row) * n + column] =
                        static_cast<scalar_t>(samplex::mx_dot(x, w, blocks));
                  }
                }
              });
        }
      });
}
