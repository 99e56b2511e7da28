#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>
#include <torch/types.h>

#include "core/registration.h"
#include "device_utils.cuh"
#include "dsv3_fused_a_gemm_checks.h"

namespace samplex {

// One warp per column of mat_b; it is read once, and multiplied with all of the
// few tokens. The first rows of the weight are fetched before the kernel that
// makes the activations has ended (programmatic dependent launch, from SM 9.0).
template <typename scalar_t>
__global__ void fused_a_gemm_kernel(scalar_t* __restrict__ output,
                                    const scalar_t* __restrict__ mat_a,
                                    const scalar_t* __restrict__ mat_b,
                                    const int tokens, const int64_t k,
                                    const int64_t n, const int64_t stride_b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  const int lane = threadIdx.x % SAMPLEX_WARP_SIZE;
  const int64_t column =
      static_cast<int64_t>(blockIdx.x) * (blockDim.x / SAMPLEX_WARP_SIZE) +
      threadIdx.x / SAMPLEX_WARP_SIZE;
  if (column >= n) return;
  const scalar_t* weight = mat_b + column * stride_b;
  asm volatile("prefetch.global.L2 [%0];" ::"l"(weight + lane));
  asm volatile("griddepcontrol.wait;" ::: "memory");

  float sum[kMaxFusedATokens] = {};
  for (int64_t i = lane; i < k; i += SAMPLEX_WARP_SIZE) {
    const float w = static_cast<float>(weight[i]);
  #pragma unroll
    for (int token = 0; token < kMaxFusedATokens; ++token) {
      if (token < tokens) {
        sum[token] += static_cast<float>(mat_a[token * k + i]) * w;
      }
    }
  }
  #pragma unroll
  for (int token = 0; token < kMaxFusedATokens; ++token) {
    const float total = warp_reduce(sum[token], Sum{});
    if (lane == 0 && token < tokens) {
      output[token * n + column] = static_cast<scalar_t>(total);
    }
  }
#endif
}

}  // namespace samplex

void dsv3_fused_a_gemm(torch::Tensor& output, const torch::Tensor& mat_a,
                       const torch::Tensor& mat_b) {
  samplex::check_dsv3_fused_a_gemm(output, mat_a, mat_b);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(mat_a));
  const cudaStream_t stream =
      at::cuda::getCurrentCUDAStream(mat_a.get_device());
  const auto* properties = at::cuda::getCurrentDeviceProperties();
  TORCH_CHECK(properties->major >= 9,
              "dsv3_fused_a_gemm needs a GPU of compute capability 9.0 or "
              "newer, this one has ",
              properties->major, ".", properties->minor);
  if (output.numel() == 0) return;

  constexpr int kColumnsPerBlock = 4;
  const dim3 block(kColumnsPerBlock * SAMPLEX_WARP_SIZE);
  const dim3 grid((output.size(1) + kColumnsPerBlock - 1) / kColumnsPerBlock);
  samplex::fused_a_gemm_kernel<c10::BFloat16><<<grid, block, 0, stream>>>(
      output.data_ptr<at::BFloat16>(), mat_a.data_ptr<at::BFloat16>(),
      mat_b.data_ptr<at::BFloat16>(), static_cast<int>(mat_a.size(0)),
      mat_a.size(1), mat_b.size(1), mat_b.stride(1));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
  m.impl("dsv3_fused_a_gemm", &dsv3_fused_a_gemm);
}
