// What the CPU and the CUDA kernels for GPTQ demand of their arguments.
#pragma once

#include <torch/types.h>

#include "../../check_utils.h"
#include "gptq_format.h"

namespace samplex {

inline void check_gptq_bits(int64_t bit) {
  TORCH_CHECK(bit == 2 || bit == 3 || bit == 4 || bit == 8,
              "GPTQ weights have 2, 3, 4 or 8 bits, got ", bit);
}

// An index may be empty; otherwise it has a number for each row.
inline void check_gptq_index(const torch::Tensor& index, int64_t rows) {
  CHECK_DTYPE(index, at::ScalarType::Int);
  TORCH_CHECK(index.numel() == 0 || index.numel() == rows,
              "expected one index for each of ", rows, " rows, got ",
              index.numel());
}

inline void check_gptq_gemm(const torch::Tensor& a,
                            const torch::Tensor& q_weight,
                            const torch::Tensor& qzeros,
                            const torch::Tensor& scales,
                            const torch::Tensor& g_idx, int64_t bit) {
  check_gptq_bits(bit);
  CHECK_DIM(a, 2);
  CHECK_DIM(q_weight, 2);
  CHECK_DIM(scales, 2);
  CHECK_SAME_DTYPE(scales, a);
  CHECK_DTYPE(q_weight, at::ScalarType::Int);
  CHECK_DTYPE(qzeros, at::ScalarType::Int);
  CHECK_CONTIGUOUS(q_weight);
  CHECK_CONTIGUOUS(qzeros);
  CHECK_CONTIGUOUS(scales);
  const int64_t rows = a.size(1);
  const int64_t columns = q_weight.size(1);
  const int64_t groups = scales.size(0);
  TORCH_CHECK(q_weight.size(0) * kWordBits == rows * bit, "the input has ",
              rows, " channels, the weight ",
              q_weight.size(0) * kWordBits / bit);
  TORCH_CHECK(groups > 0 && rows % groups == 0, rows,
              " input channels cannot be split into ", groups, " groups");
  TORCH_CHECK_EQ(scales.size(1), columns);
  TORCH_CHECK_EQ(qzeros.numel() * kWordBits, groups * columns * bit);
  check_gptq_index(g_idx, rows);
}

// The arguments of gptq_gemm as a kernel wants them.
template <typename scalar_t>
GptqWeight<scalar_t> gptq_weight(const torch::Tensor& q_weight,
                                 const torch::Tensor& qzeros,
                                 const torch::Tensor& scales,
                                 const torch::Tensor& g_idx, int64_t rows,
                                 bool use_exllama, bool use_v2_format,
                                 int64_t bit) {
  return {reinterpret_cast<const uint32_t*>(q_weight.data_ptr()),
          reinterpret_cast<const uint32_t*>(qzeros.data_ptr()),
          scales.data_ptr<scalar_t>(),
          g_idx.numel() == 0 ? nullptr : g_idx.data_ptr<int>(),
          q_weight.size(1),
          rows / scales.size(0),
          static_cast<int>(bit),
          use_v2_format ? 0 : 1,
          use_exllama};
}

inline void check_gptq_shuffle(const torch::Tensor& q_weight,
                               const torch::Tensor& q_perm, int64_t bit) {
  check_gptq_bits(bit);
  CHECK_DIM(q_weight, 2);
  CHECK_DTYPE(q_weight, at::ScalarType::Int);
  CHECK_CONTIGUOUS(q_weight);
  TORCH_CHECK(q_weight.size(0) % bit == 0 || kWordBits % bit == 0, "words of ",
              bit, "-bit codes come in groups of ", bit, ", got ",
              q_weight.size(0));
  check_gptq_index(q_perm, q_weight.size(0) * kWordBits / bit);
}

}  // namespace samplex
