// How GPTQ packs weights, for CPU and CUDA alike.
#pragma once

#include <cstdint>

#include "../../cuda_compat.h"

namespace samplex {

constexpr int kWordBits = 32;

// Code `index` of a stream of codes of `bits` bits, lowest bits first, in words
// that are `stride` apart. Codes of 3 bits may straddle two words.
HOST_DEVICE_INLINE uint32_t unpack_code(const uint32_t* words, int64_t stride,
                                        int64_t index, int bits) {
  const int64_t first_bit = index * bits;
  const int64_t word = first_bit / kWordBits;
  const int shift = static_cast<int>(first_bit % kWordBits);
  uint32_t code = words[word * stride] >> shift;
  if (shift + bits > kWordBits) {
    code |= words[(word + 1) * stride] << (kWordBits - shift);
  }
  return code & ((1u << bits) - 1);
}

// Word `word` of a column whose code k is code order[k] of `words`.
HOST_DEVICE_INLINE uint32_t reordered_word(const uint32_t* words,
                                           int64_t stride, const int* order,
                                           int64_t word, int bits) {
  const int64_t first_bit = word * kWordBits;
  const int64_t last_bit = first_bit + kWordBits - 1;
  uint32_t result = 0;
  for (int64_t k = first_bit / bits; k <= last_bit / bits; ++k) {
    const uint32_t code = unpack_code(words, stride, order[k], bits);
    const int64_t shift = k * bits - first_bit;
    result |= shift >= 0 ? code << shift : code >> -shift;
  }
  return result;
}

// A quantised weight [rows, columns], one scale and zero for each group of
// rows and column.
template <typename scalar_t>
struct GptqWeight {
  const uint32_t* codes;   // [rows * bits / 32, columns]
  const uint32_t* zeros;   // [groups, columns * bits / 32]
  const scalar_t* scales;  // [groups, columns]
  const int* index;        // [rows] or null
  int64_t columns;
  int64_t group_size;
  int bits;
  int zero_offset;      // what the format adds to the zeros
  bool index_is_order;  // index says the input channel, not the group

  HOST_DEVICE_INLINE int64_t channel(int64_t row) const {
    return index_is_order && index != nullptr ? index[row] : row;
  }

  HOST_DEVICE_INLINE int64_t group(int64_t row) const {
    return index_is_order || index == nullptr ? row / group_size : index[row];
  }

  HOST_DEVICE_INLINE float value(int64_t row, int64_t column) const {
    const int64_t g = group(row);
    const uint32_t* group_zeros = zeros + g * columns * bits / kWordBits;
    const int zero =
        static_cast<int>(unpack_code(group_zeros, 1, column, bits));
    const int code =
        static_cast<int>(unpack_code(codes + column, columns, row, bits));
    return static_cast<float>(code - zero - zero_offset) *
           static_cast<float>(scales[g * columns + column]);
  }
};

}  // namespace samplex
