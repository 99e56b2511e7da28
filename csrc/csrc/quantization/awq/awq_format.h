// How AWQ packs weights, for CPU and CUDA alike.
#pragma once

#include <cstdint>

#include "../../cuda_compat.h"

namespace samplex {

// Columns in one 32-bit word, four bits each.
constexpr int kAwqPack = 8;

// The columns of a word are interleaved: 0 2 4 6 1 3 5 7, lowest bits first.
HOST_DEVICE_INLINE int awq_code(uint32_t word, int column) {
  const int place = column / 2 + (column % 2) * (kAwqPack / 2);
  return static_cast<int>(word >> (4 * place) & 0xF);
}

HOST_DEVICE_INLINE float awq_weight(uint32_t word, uint32_t zeros, float scale,
                                    int column) {
  return static_cast<float>(awq_code(word, column) - awq_code(zeros, column)) *
         scale;
}

}  // namespace samplex
