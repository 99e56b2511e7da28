// The barrier of rank_signals.h for threads and processes. Without torch.
#pragma once

#include <atomic>
#include <thread>

#include "../rank_signals.h"

namespace samplex {

// Returns the number of the barrier once every rank has arrived at it; what was
// stored before is seen after.
inline uint32_t rank_barrier(const Peers& peers) {
  Signals* own = peers.of[peers.rank];
  const uint32_t number = ++own->passed[0];
  for (int rank = 0; rank < peers.count; ++rank) {
    auto& flag = peers.of[rank]->arrived[number % 2][0][peers.rank];
    std::atomic_ref(flag).store(number, std::memory_order_release);
  }
  for (int rank = 0; rank < peers.count; ++rank) {
    auto& flag = own->arrived[number % 2][0][rank];
    while (std::atomic_ref(flag).load(std::memory_order_acquire) != number) {
      std::this_thread::yield();
    }
  }
  return number;
}

}  // namespace samplex
