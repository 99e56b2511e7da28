#include <ATen/Parallel.h>
#include <torch/types.h>

#include "../dispatch_utils.h"
#include "../quantization/gptq/gptq_checks.h"
#include "../quantization/gptq/gptq_format.h"
#include "row_grain.h"

torch::Tensor gptq_gemm_cpu(torch::Tensor a, torch::Tensor b_q_weight,
                            torch::Tensor b_gptq_qzeros,
                            torch::Tensor b_gptq_scales, torch::Tensor b_g_idx,
                            bool use_exllama, bool use_v2_format, int64_t bit) {
  samplex::check_gptq_gemm(a, b_q_weight, b_gptq_qzeros, b_gptq_scales, b_g_idx,
                           bit);
  const int64_t rows = a.size(1);
  const int64_t columns = b_q_weight.size(1);
  const auto input = a.contiguous();
  torch::Tensor out = torch::empty({a.size(0), columns}, a.options());

  SAMPLEX_DISPATCH_HALF_TYPES(a.scalar_type(), "gptq_gemm", [&] {
    const auto weight = samplex::gptq_weight<scalar_t>(
        b_q_weight, b_gptq_qzeros, b_gptq_scales, b_g_idx, rows, use_exllama,
        use_v2_format, bit);
    scalar_t* out_data = out.data_ptr<scalar_t>();
    const scalar_t* input_data = input.data_ptr<scalar_t>();
    at::parallel_for(0, out.numel(), samplex::row_grain(rows),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t i = begin; i < end; ++i) {
                         const scalar_t* x = input_data + i / columns * rows;
                         float sum = 0.0f;
                         for (int64_t row = 0; row < rows; ++row) {
                           sum += static_cast<float>(x[weight.channel(row)]) *
                                  weight.value(row, i % columns);
                         }
                         out_data[i] = static_cast<scalar_t>(sum);
                       }
                     });
  });
  return out;
}

void gptq_shuffle_cpu(torch::Tensor q_weight, torch::Tensor q_perm,
                      int64_t bit) {
  samplex::check_gptq_shuffle(q_weight, q_perm, bit);
  if (q_perm.numel() == 0) return;
  const auto original = q_weight.clone();
  const int64_t columns = q_weight.size(1);
  const int* order = q_perm.data_ptr<int>();
  auto* words = reinterpret_cast<uint32_t*>(q_weight.data_ptr());
  const auto* source = reinterpret_cast<const uint32_t*>(original.data_ptr());
  at::parallel_for(
      0, q_weight.size(0), samplex::row_grain(columns),
      [&](int64_t begin, int64_t end) {
        for (int64_t word = begin; word < end; ++word) {
          for (int64_t column = 0; column < columns; ++column) {
            words[word * columns + column] = samplex::reordered_word(
                source + column, columns, order, word, static_cast<int>(bit));
          }
        }
      });
}
