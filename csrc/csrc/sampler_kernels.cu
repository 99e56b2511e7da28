#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include "dispatch_utils.h"
#include "launch_utils.h"
#include "sampler_checks.h"
#include "sampler_math.h"
#include "topk_select.cuh"

namespace samplex {

// A row of blocks for each sequence.
template <typename scalar_t>
__global__ void repetition_penalties_kernel(
    scalar_t* __restrict__ logits, const bool* __restrict__ prompt_mask,
    const bool* __restrict__ output_mask,
    const scalar_t* __restrict__ penalties, const int64_t vocab_size) {
  const float penalty = static_cast<float>(penalties[blockIdx.x]);
  const int64_t start = blockIdx.x * vocab_size;
  const int64_t step = static_cast<int64_t>(gridDim.y) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x;
       i < vocab_size; i += step) {
    if (prompt_mask[start + i] || output_mask[start + i]) {
      logits[start + i] = static_cast<scalar_t>(
          penalize(static_cast<float>(logits[start + i]), penalty));
    }
  }
}

// One block per row.
template <typename Rows>
__global__ void top_k_per_row_kernel(int32_t* __restrict__ indices,
                                     const Rows rows, const int64_t k) {
  __shared__ int histogram[kDigits];
  const LogitRow row = rows(blockIdx.x);
  int32_t* out = indices + blockIdx.x * k;
  if (row.length <= k) {
    write_all(out, row.length, k);
    return;
  }
  KthKey kth{0, static_cast<int>(k)};
  for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    __syncthreads();  // the last histogram may still be read
    for (int i = threadIdx.x; i < kDigits; i += blockDim.x) histogram[i] = 0;
    __syncthreads();
    count_digits(histogram, row, 0, row.length, kth.known, shift);
    __syncthreads();
    kth.narrow(histogram);
  }
  write_largest(out, row, 0, row.length, kth, 0, 0);
}

template <typename Rows>
void launch_top_k_per_row(torch::Tensor& indices, const Rows& rows,
                          int64_t num_rows, int64_t k) {
  if (num_rows == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(indices));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  top_k_per_row_kernel<<<num_rows, kTopKThreads, 0, stream>>>(
      indices.data_ptr<int32_t>(), rows, k);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace samplex

void apply_repetition_penalties_(torch::Tensor& logits,
                                 const torch::Tensor& prompt_mask,
                                 const torch::Tensor& output_mask,
                                 const torch::Tensor& repetition_penalties) {
  samplex::check_repetition_penalties(logits, prompt_mask, output_mask,
                                      repetition_penalties);
  if (logits.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(logits));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const int64_t vocab_size = logits.size(1);
  const dim3 block(samplex::block_size_for(vocab_size));
  const dim3 grid(logits.size(0), samplex::grid_size_for(vocab_size, block.x));
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      logits.scalar_type(), "apply_repetition_penalties_", [&] {
        samplex::repetition_penalties_kernel<scalar_t>
            <<<grid, block, 0, stream>>>(
                logits.data_ptr<scalar_t>(), prompt_mask.data_ptr<bool>(),
                output_mask.data_ptr<bool>(),
                repetition_penalties.data_ptr<scalar_t>(), vocab_size);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      });
}

void top_k_per_row_prefill(const torch::Tensor& logits,
                           const torch::Tensor& rowStarts,
                           const torch::Tensor& rowEnds, torch::Tensor& indices,
                           int64_t numRows, int64_t stride0, int64_t stride1,
                           int64_t topK) {
  const auto rows = samplex::check_top_k_prefill(
      logits, rowStarts, rowEnds, indices, numRows, stride0, stride1, topK);
  samplex::launch_top_k_per_row(indices, rows, numRows, topK);
}

void top_k_per_row_decode(const torch::Tensor& logits, int64_t next_n,
                          const torch::Tensor& seq_lens, torch::Tensor& indices,
                          int64_t numRows, int64_t stride0, int64_t stride1,
                          int64_t topK) {
  const auto rows = samplex::check_top_k_decode(
      logits, next_n, seq_lens, indices, numRows, stride0, stride1, topK);
  samplex::launch_top_k_per_row(indices, rows, numRows, topK);
}
