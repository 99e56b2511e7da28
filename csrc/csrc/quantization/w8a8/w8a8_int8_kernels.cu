#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <cfloat>
#include <optional>

#include "../../device_utils.cuh"
#include "../../dispatch_utils.h"
#include "../../launch_utils.h"
#include "../quant_math.h"
#include "w8a8_checks.h"

namespace samplex {

// One block per row throughout this file; azp may be null.
template <typename scalar_t>
__global__ void static_int8_quant_kernel(int8_t* __restrict__ out,
                                         const scalar_t* __restrict__ input,
                                         const float* __restrict__ scale,
                                         const int32_t* __restrict__ azp,
                                         const int64_t width) {
  const int64_t start = blockIdx.x * width;
  const int32_t zero_point = azp == nullptr ? 0 : *azp;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    out[start + i] =
        quantize_int8(static_cast<float>(input[start + i]), *scale, zero_point);
  }
}

template <typename scalar_t>
__global__ void dynamic_int8_quant_kernel(int8_t* __restrict__ out,
                                          const scalar_t* __restrict__ input,
                                          float* __restrict__ scales,
                                          int32_t* __restrict__ azp,
                                          const int64_t width) {
  const int64_t start = blockIdx.x * width;
  float low = FLT_MAX;
  float high = -FLT_MAX;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const float x = static_cast<float>(input[start + i]);
    low = fminf(low, x);
    high = fmaxf(high, x);
  }
  low = -block_reduce(-low, -FLT_MAX, Max{});
  high = block_reduce(high, -FLT_MAX, Max{});

  const bool symmetric = azp == nullptr;
  const float scale =
      symmetric ? fmaxf(-low, high) / kInt8Max : (high - low) / kInt8Levels;
  const int32_t zero_point = symmetric ? 0 : zero_point_of(low, scale);
  if (threadIdx.x == 0) {
    scales[blockIdx.x] = scale;
    if (!symmetric) azp[blockIdx.x] = zero_point;
  }
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    out[start + i] =
        quantize_int8(static_cast<float>(input[start + i]), scale, zero_point);
  }
}

}  // namespace samplex

void static_scaled_int8_quant(torch::Tensor& out, const torch::Tensor& input,
                              const torch::Tensor& scale,
                              const std::optional<torch::Tensor>& azp) {
  samplex::check_int8_quant(out, input, scale, azp, 1);
  if (out.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const int64_t width = input.size(-1);
  const dim3 grid(input.numel() / width);
  const dim3 block(samplex::block_size_for(width, /*limit=*/256));
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      input.scalar_type(), "static_scaled_int8_quant", [&] {
        samplex::static_int8_quant_kernel<scalar_t><<<grid, block, 0, stream>>>(
            out.data_ptr<int8_t>(), input.data_ptr<scalar_t>(),
            scale.data_ptr<float>(),
            azp.has_value() ? azp->data_ptr<int32_t>() : nullptr, width);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      });
}

void dynamic_scaled_int8_quant(torch::Tensor& out, const torch::Tensor& input,
                               torch::Tensor& scales,
                               const std::optional<torch::Tensor>& azp) {
  const int64_t width = input.size(-1);
  const int64_t num_rows = samplex::row_count(input.numel(), width);
  samplex::check_int8_quant(out, input, scales, azp, num_rows);
  if (out.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const dim3 grid(num_rows);
  const dim3 block(samplex::block_size_for(width, /*limit=*/256));
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      input.scalar_type(), "dynamic_scaled_int8_quant", [&] {
        samplex::dynamic_int8_quant_kernel<scalar_t>
            <<<grid, block, 0, stream>>>(
                out.data_ptr<int8_t>(), input.data_ptr<scalar_t>(),
                scales.data_ptr<float>(),
                azp.has_value() ? azp->data_ptr<int32_t>() : nullptr, width);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      });
}
