#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include "../../dispatch_utils.h"
#include "awq_checks.h"
#include "awq_format.h"

namespace samplex {

// One thread per word of the weight.
template <typename scalar_t>
__global__ void awq_dequantize_kernel(scalar_t* __restrict__ out,
                                      const int* __restrict__ weight,
                                      const scalar_t* __restrict__ scales,
                                      const int* __restrict__ zeros,
                                      const AwqShape shape) {
  const int64_t word = blockIdx.x * blockDim.x + threadIdx.x;
  const int64_t row = blockIdx.y * blockDim.y + threadIdx.y;
  if (word >= shape.words || row >= shape.rows) return;

  const int64_t group_word = row / shape.group_size * shape.words + word;
  const int64_t at = row * shape.words + word;
#pragma unroll
  for (int column = 0; column < kAwqPack; ++column) {
    const float scale =
        static_cast<float>(scales[group_word * kAwqPack + column]);
    out[at * kAwqPack + column] = static_cast<scalar_t>(
        awq_weight(weight[at], zeros[group_word], scale, column));
  }
}

// One thread per word of the output and split: each split sums its own range
// of input channels, and the caller adds the splits up.
template <typename scalar_t>
__global__ void awq_gemm_kernel(float* __restrict__ partial,
                                const scalar_t* __restrict__ input,
                                const int* __restrict__ weight,
                                const scalar_t* __restrict__ scales,
                                const int* __restrict__ zeros,
                                const int64_t num_tokens,
                                const AwqShape shape) {
  const int64_t word = blockIdx.x * blockDim.x + threadIdx.x;
  const int64_t token = blockIdx.y * blockDim.y + threadIdx.y;
  if (word >= shape.words || token >= num_tokens) return;

  const int64_t rows_per_split = (shape.rows + gridDim.z - 1) / gridDim.z;
  const int64_t first = blockIdx.z * rows_per_split;
  const int64_t last = min(first + rows_per_split, shape.rows);

  float sum[kAwqPack] = {};
  for (int64_t row = first; row < last; ++row) {
    const float x = static_cast<float>(input[token * shape.rows + row]);
    const int64_t group_word = row / shape.group_size * shape.words + word;
    const uint32_t codes = weight[row * shape.words + word];
    const uint32_t zero_codes = zeros[group_word];
#pragma unroll
    for (int column = 0; column < kAwqPack; ++column) {
      const float scale =
          static_cast<float>(scales[group_word * kAwqPack + column]);
      sum[column] += x * awq_weight(codes, zero_codes, scale, column);
    }
  }

  const int64_t row = blockIdx.z * num_tokens + token;
  float* result = partial + (row * shape.words + word) * kAwqPack;
#pragma unroll
  for (int column = 0; column < kAwqPack; ++column)
    result[column] = sum[column];
}

}  // namespace samplex

// thx and thy are the threads of a block along words and rows; 0 lets us
// choose.
torch::Tensor awq_dequantize(const torch::Tensor& kernel,
                             const torch::Tensor& scaling_factors,
                             const torch::Tensor& zeros, int64_t split_k_iters,
                             int64_t thx, int64_t thy) {
  const auto shape = samplex::check_awq(kernel, scaling_factors, zeros);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(scaling_factors));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();

  auto options = torch::TensorOptions()
                     .dtype(scaling_factors.dtype())
                     .device(scaling_factors.device());
  torch::Tensor out =
      torch::empty({shape.rows, shape.words * samplex::kAwqPack}, options);
  if (out.numel() == 0) return out;

  const dim3 block(thx > 0 ? thx : 32, thy > 0 ? thy : 8);
  const dim3 grid((shape.words + block.x - 1) / block.x,
                  (shape.rows + block.y - 1) / block.y);
  SAMPLEX_DISPATCH_HALF_TYPES(
      scaling_factors.scalar_type(), "awq_dequantize", [&] {
        samplex::awq_dequantize_kernel<scalar_t><<<grid, block, 0, stream>>>(
            out.data_ptr<scalar_t>(), kernel.data_ptr<int>(),
            scaling_factors.data_ptr<scalar_t>(), zeros.data_ptr<int>(), shape);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      });
  return out;
}

torch::Tensor awq_gemm(const torch::Tensor& in_feats,
                       const torch::Tensor& kernel,
                       const torch::Tensor& scaling_factors,
                       const torch::Tensor& zeros, int64_t split_k_iters) {
  const auto shape = samplex::check_awq(kernel, scaling_factors, zeros);
  samplex::check_awq_input(in_feats, scaling_factors, shape.rows,
                           split_k_iters);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(in_feats));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();

  const int64_t num_tokens = in_feats.size(0);
  const auto input = in_feats.contiguous();
  auto options = in_feats.options().dtype(at::ScalarType::Float);
  torch::Tensor partial = torch::empty(
      {split_k_iters, num_tokens, shape.words * samplex::kAwqPack}, options);
  if (partial.numel() > 0) {
    const dim3 block(32, 8);
    const dim3 grid((shape.words + block.x - 1) / block.x,
                    (num_tokens + block.y - 1) / block.y, split_k_iters);
    SAMPLEX_DISPATCH_HALF_TYPES(in_feats.scalar_type(), "awq_gemm", [&] {
      samplex::awq_gemm_kernel<scalar_t><<<grid, block, 0, stream>>>(
          partial.data_ptr<float>(), input.data_ptr<scalar_t>(),
          kernel.data_ptr<int>(), scaling_factors.data_ptr<scalar_t>(),
          zeros.data_ptr<int>(), num_tokens, shape);
      C10_CUDA_KERNEL_LAUNCH_CHECK();
    });
  }
  return partial.sum(0).to(in_feats.scalar_type());
}
