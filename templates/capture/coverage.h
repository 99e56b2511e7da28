#pragma once
// The table of blocks that coverage.cpp fills and observer.cpp reads.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace torch_stabilize::coverage {

struct Block {
  std::atomic<uintptr_t> address{0};
  std::atomic<uint32_t> call{0};
};
constexpr size_t kBlocks = size_t{1} << 17;
extern Block blocks[kBlocks];
extern std::atomic<uint32_t> call; // the number of the call that is being made; 0 outside of calls
extern std::atomic<uint32_t> calls;

} // namespace torch_stabilize::coverage
