// What the CPU and the CUDA kernels of 8-bit quantisation demand.
#pragma once

#include <torch/types.h>

#include <optional>
#include <vector>

#include "../../check_utils.h"

namespace samplex {

// Blocks of the input that share a scale.
struct ScaleGroups {
  int64_t rows;
  int64_t columns;
  int64_t per_row;  // scales side by side
};

inline void check_quant(const torch::Tensor& out, const torch::Tensor& input) {
  CHECK_CONTIGUOUS(out);
  CHECK_CONTIGUOUS(input);
  TORCH_CHECK(out.sizes() == input.sizes(),
              "out and input must have the same shape");
}

inline void check_int8_quant(const torch::Tensor& out,
                             const torch::Tensor& input,
                             const torch::Tensor& scales,
                             const std::optional<torch::Tensor>& azp,
                             int64_t num_scales) {
  check_quant(out, input);
  CHECK_DTYPE(out, at::ScalarType::Char);
  CHECK_DTYPE(scales, at::ScalarType::Float);
  TORCH_CHECK(scales.numel() == num_scales, "expected ", num_scales,
              " scales, got ", scales.numel());
  if (azp.has_value()) {
    CHECK_DTYPE(azp.value(), at::ScalarType::Int);
    TORCH_CHECK_EQ(azp->numel(), num_scales);
  }
}

// Without group_shape, a two-dimensional scale says it by its own shape. -1 in
// group_shape stands for the whole extent.
inline ScaleGroups check_static_fp8_quant(
    const torch::Tensor& out, const torch::Tensor& input,
    const torch::Tensor& scale,
    const std::optional<std::vector<int64_t>>& group_shape) {
  check_quant(out, input);
  CHECK_DTYPE(scale, at::ScalarType::Float);
  CHECK_CONTIGUOUS(scale);
  const int64_t width = input.size(-1);
  const int64_t rows = row_count(input.numel(), width);
  if (scale.numel() == 1) return {rows, width, 1};

  ScaleGroups groups{rows, width, 1};
  if (group_shape.has_value()) {
    TORCH_CHECK(group_shape->size() == 2, "group_shape must have 2 numbers, ",
                "got ", group_shape->size());
    const int64_t group_rows = group_shape->at(0);
    const int64_t group_columns = group_shape->at(1);
    groups.rows = group_rows == -1 ? rows : group_rows;
    groups.columns = group_columns == -1 ? width : group_columns;
  } else {
    TORCH_CHECK(scale.dim() == 2,
                "a scale of one dimension needs a group_shape");
    TORCH_CHECK(scale.size(0) > 0 && scale.size(1) > 0,
                "the scale must not be empty");
    groups.rows = rows / scale.size(0);
    groups.columns = width / scale.size(1);
  }
  TORCH_CHECK(groups.rows > 0 && groups.columns > 0 &&
                  rows % groups.rows == 0 && width % groups.columns == 0,
              rows, " by ", width, " elements cannot be split into groups of ",
              groups.rows, " by ", groups.columns);
  groups.per_row = width / groups.columns;
  TORCH_CHECK(scale.numel() == rows / groups.rows * groups.per_row, "expected ",
              rows / groups.rows * groups.per_row, " scales, got ",
              scale.numel());
  return groups;
}

inline void check_dynamic_fp8_quant(const torch::Tensor& out,
                                    const torch::Tensor& input,
                                    const torch::Tensor& scale,
                                    int64_t num_scales) {
  check_quant(out, input);
  CHECK_DTYPE(scale, at::ScalarType::Float);
  CHECK_CONTIGUOUS(scale);
  TORCH_CHECK(scale.numel() == num_scales, "expected ", num_scales,
              " scales, got ", scale.numel());
}

}  // namespace samplex
