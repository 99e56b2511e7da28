// What every group of ranks demands, for host code only.
#pragma once

#include <torch/types.h>

#include "rank_signals.h"

namespace samplex {

inline void check_rank(int64_t rank, int64_t count) {
  TORCH_CHECK(count >= 1 && count <= kMaxRanks, "there may be 1 to ", kMaxRanks,
              " ranks, got ", count);
  TORCH_CHECK(rank >= 0 && rank < count, "there is no rank ", rank, " among ",
              count);
}

}  // namespace samplex
