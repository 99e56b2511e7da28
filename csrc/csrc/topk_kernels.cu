#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <algorithm>

#include "sampler_checks.h"
#include "sampler_math.h"
#include "topk_select.cuh"

namespace samplex {

// Waits until all blocks of a row have come here `round` times. They all run at
// once: the launch makes no more than the device can hold.
__device__ void row_barrier(TopKRowState* state, int round) {
  __syncthreads();
  if (threadIdx.x == 0) {
    const int all = static_cast<int>(gridDim.x) * round;
    __threadfence();
    atomicAdd(&state->arrived, 1);
    while (atomicAdd(&state->arrived, 0) < all) {
    }
    __threadfence();
  }
  __syncthreads();
}

// gridDim.x blocks share a row; gridDim.y rows are worked on at a time. Blocks
// count in shared memory first, then add their counts up in the row's state,
// which must be zero.
__global__ void persistent_topk_kernel(int32_t* __restrict__ output,
                                       TopKRowState* __restrict__ states,
                                       const DecodeRows rows,
                                       const int64_t num_rows,
                                       const int64_t k) {
  __shared__ int histogram[kDigits];
  __shared__ int greater, equal;
  const int block = static_cast<int>(blockIdx.x);
  for (int64_t index = blockIdx.y; index < num_rows; index += gridDim.y) {
    const LogitRow row = rows(index);
    int32_t* out = output + index * k;
    if (row.length <= k) {
      if (block == 0) write_all(out, row.length, k);
      continue;
    }
    TopKRowState* state = states + index;
    const int64_t part = (row.length + gridDim.x - 1) / gridDim.x;
    const int64_t begin = min(part * block, row.length);
    const int64_t end = min(begin + part, row.length);

    KthKey kth{0, static_cast<int>(k)};
    int round = 0;
    for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
      int* total = state->histogram[round];
      for (int i = threadIdx.x; i < kDigits; i += blockDim.x) histogram[i] = 0;
      __syncthreads();
      count_digits(histogram, row, begin, end, kth.known, shift);
      __syncthreads();
      for (int i = threadIdx.x; i < kDigits; i += blockDim.x) {
        if (histogram[i] > 0) atomicAdd(&total[i], histogram[i]);
      }
      row_barrier(state, ++round);
      for (int i = threadIdx.x; i < kDigits; i += blockDim.x) {
        histogram[i] = total[i];
      }
      __syncthreads();
      kth.narrow(histogram);
      __syncthreads();
    }

    // Where this block's part of the result starts.
    if (threadIdx.x == 0) greater = equal = 0;
    __syncthreads();
    for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
      const uint32_t key = row.key(i);
      if (key > kth.known) atomicAdd(&greater, 1);
      if (key == kth.known) atomicAdd(&equal, 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      state->greater[block] = greater;
      state->equal[block] = equal;
    }
    row_barrier(state, ++round);
    int greater_before = 0, equal_before = 0;
    for (int i = 0; i < block; ++i) {
      greater_before += state->greater[i];
      equal_before += state->equal[i];
    }
    write_largest(out, row, begin, end, kth,
                  greater_before + min(equal_before, kth.wanted), equal_before);
  }
}

}  // namespace samplex

void persistent_topk(const torch::Tensor& logits, const torch::Tensor& lengths,
                     torch::Tensor& output, torch::Tensor& workspace, int64_t k,
                     int64_t max_seq_len) {
  TORCH_CHECK(workspace.is_cuda(), "the workspace must be on the GPU");
  const auto rows = samplex::check_persistent_topk(logits, lengths, output,
                                                   workspace, k, max_seq_len);
  const int64_t num_rows = logits.size(0);
  if (num_rows == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(logits));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();

  int blocks_per_processor = 0;
  C10_CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      &blocks_per_processor, samplex::persistent_topk_kernel,
      samplex::kTopKThreads, 0));
  const int64_t resident =
      static_cast<int64_t>(blocks_per_processor) *
      at::cuda::getCurrentDeviceProperties()->multiProcessorCount;
  constexpr int64_t kLogitsPerBlock = 8192;
  const int64_t blocks_per_row = std::clamp<int64_t>(
      max_seq_len / kLogitsPerBlock, 1,
      std::min<int64_t>(samplex::TopKRowState::kMaxBlocks, resident));
  const dim3 grid(blocks_per_row,
                  std::min(num_rows, resident / blocks_per_row));

  auto* states =
      reinterpret_cast<samplex::TopKRowState*>(workspace.data_ptr<uint8_t>());
  C10_CUDA_CHECK(cudaMemsetAsync(
      states, 0, num_rows * sizeof(samplex::TopKRowState), stream));
  samplex::persistent_topk_kernel<<<grid, samplex::kTopKThreads, 0, stream>>>(
      output.data_ptr<int32_t>(), states, rows, num_rows, k);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}
