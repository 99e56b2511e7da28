#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include "../../device_utils.cuh"
#include "../../dispatch_utils.h"
#include "gptq_checks.h"
#include "gptq_format.h"

namespace samplex {

// One warp per element of the output.
template <typename scalar_t>
__global__ void gptq_gemm_kernel(scalar_t* __restrict__ out,
                                 const scalar_t* __restrict__ a,
                                 const GptqWeight<scalar_t> weight,
                                 const int64_t rows) {
  const int lane = threadIdx.x;
  const int64_t column =
      static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const int64_t token = blockIdx.y;
  if (column >= weight.columns) return;

  float sum = 0.0f;
  for (int64_t row = lane; row < rows; row += SAMPLEX_WARP_SIZE) {
    sum += static_cast<float>(a[token * rows + weight.channel(row)]) *
           weight.value(row, column);
  }
  sum = warp_reduce(sum, Sum{});
  if (lane == 0) {
    out[token * weight.columns + column] = static_cast<scalar_t>(sum);
  }
}

// One thread per word.
__global__ void gptq_shuffle_kernel(uint32_t* __restrict__ out,
                                    const uint32_t* __restrict__ words,
                                    const int* __restrict__ order,
                                    const int64_t columns, const int bits) {
  const int64_t column =
      static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t word = blockIdx.y;
  if (column >= columns) return;
  out[word * columns + column] =
      reordered_word(words + column, columns, order, word, bits);
}

}  // namespace samplex

torch::Tensor gptq_gemm(torch::Tensor a, torch::Tensor b_q_weight,
                        torch::Tensor b_gptq_qzeros,
                        torch::Tensor b_gptq_scales, torch::Tensor b_g_idx,
                        bool use_exllama, bool use_v2_format, int64_t bit) {
  samplex::check_gptq_gemm(a, b_q_weight, b_gptq_qzeros, b_gptq_scales, b_g_idx,
                           bit);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(a));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const int64_t rows = a.size(1);
  const int64_t columns = b_q_weight.size(1);
  const auto input = a.contiguous();
  auto options = torch::TensorOptions().dtype(a.dtype()).device(a.device());
  torch::Tensor out = torch::empty({a.size(0), columns}, options);
  if (out.numel() == 0) return out;

  const dim3 block(SAMPLEX_WARP_SIZE, 8);
  const dim3 grid((columns + block.y - 1) / block.y, a.size(0));
  SAMPLEX_DISPATCH_HALF_TYPES(a.scalar_type(), "gptq_gemm", [&] {
    const auto weight = samplex::gptq_weight<scalar_t>(
        b_q_weight, b_gptq_qzeros, b_gptq_scales, b_g_idx, rows, use_exllama,
        use_v2_format, bit);
    samplex::gptq_gemm_kernel<scalar_t><<<grid, block, 0, stream>>>(
        out.data_ptr<scalar_t>(), input.data_ptr<scalar_t>(), weight, rows);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return out;
}

void gptq_shuffle(torch::Tensor q_weight, torch::Tensor q_perm, int64_t bit) {
  samplex::check_gptq_shuffle(q_weight, q_perm, bit);
  if (q_perm.numel() == 0 || q_weight.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(q_weight));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const auto original = q_weight.clone();
  const int64_t columns = q_weight.size(1);
  const dim3 block(128);
  const dim3 grid((columns + block.x - 1) / block.x, q_weight.size(0));
  samplex::gptq_shuffle_kernel<<<grid, block, 0, stream>>>(
      reinterpret_cast<uint32_t*>(q_weight.data_ptr()),
      reinterpret_cast<const uint32_t*>(original.data_ptr()),
      q_perm.data_ptr<int>(), columns, static_cast<int>(bit));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}
