// Runs the operations of cache_math.h on the GPU.
#pragma once

#include <c10/cuda/CUDAException.h>

#include <cstdint>

#include "launch_utils.h"

namespace samplex {

// One block per row.
template <typename Operation>
__global__ void rows_kernel(const Operation operation) {
  for (int64_t i = threadIdx.x; i < operation.width; i += blockDim.x) {
    operation(blockIdx.x, i);
  }
}

template <typename Operation>
void launch_rows(const Operation& operation, int64_t num_rows,
                 cudaStream_t stream) {
  if (num_rows == 0 || operation.width == 0) return;
  const int block = block_size_for(operation.width, /*limit=*/512);
  rows_kernel<<<num_rows, block, 0, stream>>>(operation);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace samplex
