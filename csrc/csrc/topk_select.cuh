// The k largest logits of a row, by their bits: a radix select finds the k-th
// key digit by digit, then its indices are written in ascending order. Of equal
// logits the first are taken, so that the result does not depend on chance.
#pragma once

#include <cstdint>

#include "cuda_compat.h"
#include "sampler_math.h"

namespace samplex {

constexpr int kTopKThreads = 512;

// The leading digits of the k-th largest key, and which of the keys that share
// them it is, counted from the largest. With all digits known, that many of the
// keys that equal it are to be taken.
struct KthKey {
  uint32_t known;
  int wanted;

  // `histogram` counts the next digits of the keys that share those known.
  __device__ void narrow(const int* histogram) {
    int digit = kDigits - 1;
    for (; histogram[digit] < wanted; --digit) wanted -= histogram[digit];
    known = known << kDigitBits | static_cast<uint32_t>(digit);
  }
};

// Adds the digit at `shift` of the keys in [begin, end) that share `known`.
__device__ inline void count_digits(int* histogram, const LogitRow& row,
                                    int64_t begin, int64_t end, uint32_t known,
                                    int shift) {
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const uint64_t key = row.key(i);
    if (key >> (shift + kDigitBits) == known) {
      atomicAdd(&histogram[(key >> shift) & (kDigits - 1)], 1);
    }
  }
}

// How many threads before this one in the block have set `flag`, and how many
// have in all. Every thread must call.
__device__ inline int block_rank(bool flag, int& total) {
  __shared__ int counts[kTopKThreads / SAMPLEX_WARP_SIZE];
  const int lane = threadIdx.x % SAMPLEX_WARP_SIZE;
  const int warp = threadIdx.x / SAMPLEX_WARP_SIZE;
  const unsigned long long flags = SAMPLEX_BALLOT(flag);
  if (lane == 0) counts[warp] = __popcll(flags);
  __syncthreads();
  int rank = __popcll(flags & ((1ull << lane) - 1));
  total = 0;
  for (int i = 0; i < static_cast<int>(blockDim.x) / SAMPLEX_WARP_SIZE; ++i) {
    if (i < warp) rank += counts[i];
    total += counts[i];
  }
  __syncthreads();
  return rank;
}

// Writes the indices in [begin, end) that are among the k largest. `taken` and
// `equal` count what was taken and what equals the k-th key before `begin`.
__device__ inline void write_largest(int32_t* out, const LogitRow& row,
                                     int64_t begin, int64_t end,
                                     const KthKey& kth, int taken, int equal) {
  for (int64_t base = begin; base < end; base += blockDim.x) {
    const int64_t i = base + threadIdx.x;
    const bool inside = i < end;
    const uint32_t key = inside ? row.key(i) : 0;
    int equal_here, taken_here;
    const bool is_equal = inside && key == kth.known;
    const int equal_rank = equal + block_rank(is_equal, equal_here);
    const bool is_taken =
        inside && (key > kth.known || (is_equal && equal_rank < kth.wanted));
    const int rank = taken + block_rank(is_taken, taken_here);
    if (is_taken) out[rank] = static_cast<int32_t>(i);
    equal += equal_here;
    taken += taken_here;
  }
}

// For a row of at most k logits: all of them, and -1 in the places left over.
__device__ inline void write_all(int32_t* out, int64_t length, int64_t k) {
  for (int64_t i = threadIdx.x; i < k; i += blockDim.x) {
    out[i] = i < length ? static_cast<int32_t>(i) : -1;
  }
}

}  // namespace samplex
