// MXFP8 for groups of experts, for CPU and CUDA alike: fp8 elements in rows,
// and one power of two as scale for every 32 of them.
#pragma once

#include <cstdint>

#include "../../cuda_compat.h"

namespace samplex {

constexpr int kMxBlock = 32;       // elements with one scale
constexpr int kMxScaleRows = 128;  // the scales of an expert fill whole tiles
constexpr int kMxScaleColumns = 4;
constexpr int kMxAlignment = kMxBlock * kMxScaleColumns;

// Where the scale of a row and block of an expert stands. Tensor cores read
// tiles of 128 rows by 4 blocks, in which every fourth of the rows is a column.
HOST_DEVICE_INLINE int64_t mx_scale_offset(int64_t row, int64_t block,
                                           int64_t num_blocks) {
  const int64_t tile = row / kMxScaleRows * (num_blocks / kMxScaleColumns) +
                       block / kMxScaleColumns;
  return tile * kMxScaleRows * kMxScaleColumns + row % 32 * 16 +
         row % kMxScaleRows / 32 * 4 + block % kMxScaleColumns;
}

HOST_DEVICE_INLINE int64_t mx_padded_rows(int64_t rows) {
  return (rows + kMxScaleRows - 1) / kMxScaleRows * kMxScaleRows;
}

// Which rows of the tensors belong to an expert.
struct MxGroups {
  const int* problem_sizes;       // m, n, k of each expert
  const int* expert_offsets;      // first row of each expert
  const int* blockscale_offsets;  // the same among the rows of scales
  int64_t count;

  HOST_DEVICE_INLINE int64_t rows(int64_t expert) const {
    return problem_sizes[expert * 3];
  }
};

}  // namespace samplex
