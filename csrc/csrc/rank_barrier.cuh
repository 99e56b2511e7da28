// The barrier of rank_signals.h for kernels. Plain CUDA, without torch.
#pragma once

#include <cstdint>

#include "rank_signals.h"

namespace samplex {

// Peers are other devices: the order has to hold for the whole system.
__device__ __forceinline__ void store_release(uint32_t* flag, uint32_t value) {
#ifdef USE_ROCM
  __hip_atomic_store(flag, value, __ATOMIC_RELEASE, __HIP_MEMORY_SCOPE_SYSTEM);
#else
  asm volatile("st.release.sys.global.u32 [%1], %0;" ::"r"(value), "l"(flag)
               : "memory");
#endif
}

__device__ __forceinline__ uint32_t load_acquire(const uint32_t* flag) {
#ifdef USE_ROCM
  return __hip_atomic_load(flag, __ATOMIC_ACQUIRE, __HIP_MEMORY_SCOPE_SYSTEM);
#else
  uint32_t value;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];"
               : "=r"(value)
               : "l"(flag)
               : "memory");
  return value;
#endif
}

// Returns the number of the barrier once this block has arrived at it on every
// rank; what was stored before is seen after. Every thread of at least
// peers.count must call, and the grids of all ranks must be equal.
__device__ __forceinline__ uint32_t rank_barrier(const Peers& peers) {
  __syncthreads();
  Signals* own = peers.of[peers.rank];
  const uint32_t number = own->passed[blockIdx.x] + 1;
  auto& row = own->arrived[number % 2][blockIdx.x];
  if (threadIdx.x < peers.count) {
    Signals* peer = peers.of[threadIdx.x];
    store_release(&peer->arrived[number % 2][blockIdx.x][peers.rank], number);
    while (load_acquire(&row[threadIdx.x]) != number) {
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) own->passed[blockIdx.x] = number;
  return number;
}

}  // namespace samplex
