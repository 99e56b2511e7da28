// What the samplers compute, for CPU and CUDA alike.
#pragma once

#include <cstdint>
#include <cstring>

#include "cuda_compat.h"

namespace samplex {

// A logit of a token that was seen is moved towards "less likely".
HOST_DEVICE_INLINE float penalize(float logit, float penalty) {
  return logit > 0.0f ? logit / penalty : logit * penalty;
}

// An integer that grows with the float.
HOST_DEVICE_INLINE uint32_t ordered_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// Logits to choose from.
struct LogitRow {
  const float* data;
  int64_t stride;
  int64_t length;

  HOST_DEVICE_INLINE uint32_t key(int64_t i) const {
    return ordered_bits(data[i * stride]);
  }
};

struct LogitMatrix {
  const float* data;
  int64_t row_stride;
  int64_t column_stride;

  HOST_DEVICE_INLINE LogitRow row(int64_t row, int64_t start,
                                  int64_t end) const {
    return {data + row * row_stride + start * column_stride, column_stride,
            end > start ? end - start : 0};
  }
};

// Prefill: row i may choose from [starts[i], ends[i]).
struct PrefillRows {
  LogitMatrix logits;
  const int32_t* starts;
  const int32_t* ends;

  HOST_DEVICE_INLINE LogitRow operator()(int64_t row) const {
    return logits.row(row, starts[row], ends[row]);
  }
};

// Decode: each sequence has next_n rows, the last of which sees all of it and
// every row before one token less.
struct DecodeRows {
  LogitMatrix logits;
  const int32_t* seq_lens;
  int64_t next_n;

  HOST_DEVICE_INLINE LogitRow operator()(int64_t row) const {
    const int64_t hidden = next_n - 1 - row % next_n;
    return logits.row(row, 0, seq_lens[row / next_n] - hidden);
  }
};

// Keys are sorted by digits of 8 bits.
constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;

// What blocks that work on one row tell each other; the workspace of
// persistent_topk has one for each row.
struct TopKRowState {
  static constexpr int kMaxBlocks = 8;

  int arrived;                              // at barriers, by all blocks
  int histogram[32 / kDigitBits][kDigits];  // for each digit of a key
  int greater[kMaxBlocks];                  // keys above the k-th, by block
  int equal[kMaxBlocks];                    // keys like the k-th, by block
};

}  // namespace samplex
