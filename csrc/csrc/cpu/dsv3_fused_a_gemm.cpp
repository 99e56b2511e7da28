#include <ATen/Parallel.h>
#include <torch/types.h>

#include "../dsv3_fused_a_gemm_checks.h"
#include "row_grain.h"

void dsv3_fused_a_gemm_cpu(torch::Tensor& output, const torch::Tensor& mat_a,
                           const torch::Tensor& mat_b) {
  samplex::check_dsv3_fused_a_gemm(output, mat_a, mat_b);
  const int64_t tokens = mat_a.size(0);
  const int64_t k = mat_a.size(1);
  const int64_t n = mat_b.size(1);
  const int64_t stride_b = mat_b.stride(1);
  at::BFloat16* out = output.data_ptr<at::BFloat16>();
  const at::BFloat16* a = mat_a.data_ptr<at::BFloat16>();
  const at::BFloat16* b = mat_b.data_ptr<at::BFloat16>();

  at::parallel_for(
      0, n, samplex::row_grain(tokens * k), [&](int64_t begin, int64_t end) {
        for (int64_t column = begin; column < end; ++column) {
          for (int64_t token = 0; token < tokens; ++token) {
            float sum = 0.0f;
            for (int64_t i = 0; i < k; ++i) {
              sum += static_cast<float>(a[token * k + i]) *
                     static_cast<float>(b[column * stride_b + i]);
            }
            out[token * n + column] = static_cast<at::BFloat16>(sum);
          }
        }
      });
}
