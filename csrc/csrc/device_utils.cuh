// Device code that every kernel can use: vector loads and block reductions.
// Plain CUDA, without torch.
#pragma once

#include <cstdint>

#include "cuda_compat.h"

namespace samplex {

// N elements that are loaded and stored by one instruction.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vec {
  T data[N];
};

// The widest load of a thread.
constexpr int kVectorBytes = 16;

template <typename T>
constexpr int kVectorSize = kVectorBytes / sizeof(T);

inline bool is_vector_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % kVectorBytes == 0;
}

template <typename Op>
__device__ __forceinline__ float warp_reduce(float value, Op op) {
#pragma unroll
  for (int lanes = SAMPLEX_WARP_SIZE / 2; lanes > 0; lanes /= 2) {
    value = op(value, SAMPLEX_SHFL_XOR(value, lanes));
  }
  return value;
}

// Reduces one value per thread; every thread gets the result. The block must be
// a whole number of warps, and every thread of it must call.
template <typename Op>
__device__ __forceinline__ float block_reduce(float value, float identity,
                                              Op op) {
  __shared__ float partial[SAMPLEX_WARP_SIZE];
  const int lane = threadIdx.x % SAMPLEX_WARP_SIZE;
  const int warp = threadIdx.x / SAMPLEX_WARP_SIZE;
  const int num_warps = blockDim.x / SAMPLEX_WARP_SIZE;

  value = warp_reduce(value, op);
  __syncthreads();  // an earlier reduction may still be read
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  return warp_reduce(lane < num_warps ? partial[lane] : identity, op);
}

struct Sum {
  __device__ __forceinline__ float operator()(float a, float b) const {
    return a + b;
  }
};

struct Max {
  __device__ __forceinline__ float operator()(float a, float b) const {
    return fmaxf(a, b);
  }
};

}  // namespace samplex
