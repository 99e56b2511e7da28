// Root mean square normalisation of rows that are spread over the ranks of a
// host, for CPU and CUDA alike. Each rank normalises its part of a row by the
// sum of squares of the whole row, so one number per row is exchanged.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda_compat.h"
#include "rank_signals.h"

namespace samplex {

constexpr int kMaxRmsParts = 2;  // query and key

// What a rank shares with its peers. Two rows of sums take turns, as the flags
// do: the next row may be started while a peer still reads this one.
struct RmsMemory {
  Signals signals;
  float sums[2][kMaxSignalBlocks][kMaxRmsParts];
};

// The ranks of one call; `memory` is where the address of each one's RmsMemory
// stands. A single rank has no need of it.
struct RmsGroup {
  RmsMemory* const* memory;
  int rank;
  int count;

  HOST_DEVICE_INLINE Peers peers() const {
    Peers peers{{}, rank, count};
    for (int i = 0; i < count; ++i) peers.of[i] = &memory[i]->signals;
    return peers;
  }

  // Of the whole row, added in the order of the ranks, so that all of them get
  // the same bits.
  HOST_DEVICE_INLINE float total(uint32_t barrier, int block, int part) const {
    float sum = 0.0f;
    for (int i = 0; i < count; ++i) {
      sum += memory[i]->sums[barrier % 2][block][part];
    }
    return sum;
  }
};

// This rank's part of rows that are normalised together.
template <typename scalar_t>
struct RmsPart {
  scalar_t* out;
  const scalar_t* input;
  const scalar_t* weight;
  int64_t width;
  int64_t input_stride;
};

template <typename scalar_t>
struct RmsParts {
  RmsPart<scalar_t> of[kMaxRmsParts];
  int count;
};

}  // namespace samplex
