// What the CPU and the CUDA kernels of AllSpark demand of their arguments.
#pragma once

#include <torch/types.h>

#include <optional>

#include "../../check_utils.h"
#include "allspark_format.h"

namespace samplex {

inline void check_allspark_columns(const torch::Tensor& scales,
                                   const std::optional<torch::Tensor>& zeros,
                                   bool has_zp, int64_t columns) {
  CHECK_CONTIGUOUS(scales);
  TORCH_CHECK(scales.numel() == columns, "expected ", columns,
              " scales, one for each column, got ", scales.numel());
  if (!has_zp) return;
  TORCH_CHECK(zeros.has_value(), "has_zp is set, but there are no zero points");
  CHECK_CONTIGUOUS(*zeros);
  CHECK_SAME_DTYPE(*zeros, scales);
  TORCH_CHECK_EQ(zeros->numel(), columns);
}

inline void check_allspark_reorder(const torch::Tensor& weight,
                                   const torch::Tensor& reordered, int64_t rows,
                                   int64_t columns, int64_t padded_columns) {
  CHECK_DTYPE(weight, at::ScalarType::Byte);
  CHECK_DTYPE(reordered, at::ScalarType::Byte);
  CHECK_CONTIGUOUS(weight);
  CHECK_CONTIGUOUS(reordered);
  TORCH_CHECK(rows % kAllsparkTileK == 0, "K must be a multiple of ",
              kAllsparkTileK, ", got ", rows);
  TORCH_CHECK(padded_columns % kAllsparkTileN == 0 &&
                  padded_columns - columns >= 0 &&
                  padded_columns - columns < kAllsparkTileN,
              "N_32align must be N rounded up to ", kAllsparkTileN, ", got ",
              padded_columns, " for ", columns);
  TORCH_CHECK_EQ(weight.numel(), rows * columns);
  TORCH_CHECK_EQ(reordered.numel(), rows * padded_columns);
}

inline void check_allspark_gemm(const torch::Tensor& a,
                                const torch::Tensor& b_qweight,
                                const torch::Tensor& b_scales,
                                const std::optional<torch::Tensor>& b_qzeros,
                                int64_t n, int64_t group_size, bool has_zp,
                                bool n32k16_reorder) {
  CHECK_DIM(a, 2);
  CHECK_DIM(b_qweight, 2);
  CHECK_DTYPE(b_qweight, at::ScalarType::Byte);
  CHECK_CONTIGUOUS(b_qweight);
  CHECK_SAME_DTYPE(b_scales, a);
  TORCH_CHECK(group_size == -1,
              "allspark_w8a16_gemm: only one group per column is supported, "
              "got a group_size of ",
              group_size);
  TORCH_CHECK(n32k16_reorder,
              "allspark_w8a16_gemm: the weight must be in n32k16 order");
  TORCH_CHECK_EQ(b_qweight.size(1), a.size(1));
  TORCH_CHECK(a.size(1) % kAllsparkTileK == 0, "K must be a multiple of ",
              kAllsparkTileK, ", got ", a.size(1));
  TORCH_CHECK(n <= b_qweight.size(0), "n is ", n, ", the weight has ",
              b_qweight.size(0), " columns");
  check_allspark_columns(b_scales, b_qzeros, has_zp, b_qweight.size(0));
}

}  // namespace samplex
