// What the ranks of one host keep in memory that all of them reach, so that
// they can wait for each other. Without torch.
#pragma once

#include <cstdint>

namespace samplex {

constexpr int kMaxRanks = 8;
constexpr int kMaxSignalBlocks = 36;

// The flags of one rank, all zero at first. Every block of a kernel has
// barriers of its own. They are numbered, and a rank that arrives at one writes
// its number to every peer. Two rows of flags take turns, so that a peer that
// is already at the next barrier overwrites nothing that is still waited for.
struct Signals {
  alignas(128) uint32_t arrived[2][kMaxSignalBlocks][kMaxRanks];
  alignas(128) uint32_t passed[kMaxSignalBlocks];  // barriers, by this rank
};

// The flags of all ranks, as one of them sees them.
struct Peers {
  Signals* of[kMaxRanks];
  int rank;
  int count;
};

}  // namespace samplex
