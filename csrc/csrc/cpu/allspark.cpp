#include <ATen/Parallel.h>
#include <torch/types.h>

#include <optional>

#include "../dispatch_utils.h"
#include "../quantization/allspark/allspark_checks.h"
#include "../quantization/allspark/allspark_format.h"
#include "row_grain.h"

namespace samplex {
namespace {

template <typename scalar_t>
void pad_columns(scalar_t* out, const scalar_t* values, int64_t columns,
                 int64_t padded_columns) {
  for (int64_t n = 0; n < padded_columns; ++n) {
    out[n] = n < columns ? values[n] : static_cast<scalar_t>(0.0f);
  }
}

}  // namespace
}  // namespace samplex

void rearrange_kn_weight_as_n32k16_order_cpu(
    const torch::Tensor& b_qweight, const torch::Tensor& b_scales,
    const std::optional<torch::Tensor>& b_zeros, bool has_zp,
    torch::Tensor& b_qweight_reorder, torch::Tensor& b_scales_reorder,
    const std::optional<torch::Tensor>& b_zeros_reorder, int64_t K, int64_t N,
    int64_t N_32align) {
  samplex::check_allspark_reorder(b_qweight, b_qweight_reorder, K, N,
                                  N_32align);
  samplex::check_allspark_columns(b_scales, b_zeros, has_zp, N);
  samplex::check_allspark_columns(b_scales_reorder, b_zeros_reorder, has_zp,
                                  N_32align);

  const uint8_t* weight = b_qweight.data_ptr<uint8_t>();
  uint8_t* reordered = b_qweight_reorder.data_ptr<uint8_t>();
  at::parallel_for(
      0, K, samplex::row_grain(N_32align), [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
          for (int64_t n = 0; n < N_32align; ++n) {
            reordered[samplex::allspark_index(k, n, K)] =
                n < N ? weight[k * N + n]
                      : static_cast<uint8_t>(samplex::kAllsparkMiddle);
          }
        }
      });

  SAMPLEX_DISPATCH_HALF_TYPES(
      b_scales.scalar_type(), "rearrange_kn_weight_as_n32k16_order", [&] {
        samplex::pad_columns(b_scales_reorder.data_ptr<scalar_t>(),
                             b_scales.data_ptr<scalar_t>(), N, N_32align);
        if (has_zp) {
          samplex::pad_columns(b_zeros_reorder->data_ptr<scalar_t>(),
                               b_zeros->data_ptr<scalar_t>(), N, N_32align);
        }
      });
}

// What describes the GPU, and when to use cuBLAS, has no meaning here.
torch::Tensor allspark_w8a16_gemm_cpu(
    const torch::Tensor& a, const torch::Tensor& b_qweight,
    const torch::Tensor& b_scales, const std::optional<torch::Tensor>& b_qzeros,
    int64_t n, int64_t group_size, int64_t /*sm_count*/, int64_t /*sm_version*/,
    int64_t /*CUBLAS_M_THRESHOLD*/, bool has_zp, bool n32k16_reorder) {
  samplex::check_allspark_gemm(a, b_qweight, b_scales, b_qzeros, n, group_size,
                               has_zp, n32k16_reorder);
  const int64_t m = a.size(0);
  const int64_t k = a.size(1);
  const auto input = a.contiguous();
  torch::Tensor out = torch::empty({m, n}, a.options());
  const uint8_t* weight = b_qweight.data_ptr<uint8_t>();

  SAMPLEX_DISPATCH_HALF_TYPES(a.scalar_type(), "allspark_w8a16_gemm", [&] {
    const samplex::AllsparkColumns<scalar_t> columns{
        b_scales.data_ptr<scalar_t>(),
        has_zp ? b_qzeros->data_ptr<scalar_t>() : nullptr};
    scalar_t* out_data = out.data_ptr<scalar_t>();
    const scalar_t* input_data = input.data_ptr<scalar_t>();
    at::parallel_for(
        0, m * n, samplex::row_grain(k), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t token = i / n;
            const int64_t column = i % n;
            const float scale = columns.scale(column);
            const float zero = columns.zero(column);
            float sum = 0.0f;
            for (int64_t j = 0; j < k; ++j) {
              const uint8_t code =
                  weight[samplex::allspark_index(j, column, k)];
              sum += static_cast<float>(input_data[token * k + j]) *
                     samplex::allspark_weight(code, scale, zero);
            }
            out_data[i] = static_cast<scalar_t>(sum);
          }
        });
  });
  return out;
}
