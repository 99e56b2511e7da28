#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <optional>
#include <vector>

#include "../../device_utils.cuh"
#include "../../dispatch_utils.h"
#include "../../launch_utils.h"
#include "../quant_math.h"
#include "w8a8_checks.h"

namespace samplex {

// One block per row, except where a kernel says otherwise.
template <typename scalar_t, typename fp8_t>
__global__ void static_fp8_quant_kernel(fp8_t* __restrict__ out,
                                        const scalar_t* __restrict__ input,
                                        const float* __restrict__ scale,
                                        const ScaleGroups groups,
                                        const int64_t width) {
  const int64_t start = blockIdx.x * width;
  const float* row_scale = scale + blockIdx.x / groups.rows * groups.per_row;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    out[start + i] = quantize_fp8<fp8_t>(static_cast<float>(input[start + i]),
                                         row_scale[i / groups.columns]);
  }
}

// The largest magnitude of all elements, over the largest number of the format,
// into *scale, which must be zero: a grid-stride loop over the elements.
template <typename scalar_t, typename fp8_t>
__global__ void tensor_scale_kernel(float* __restrict__ scale,
                                    const scalar_t* __restrict__ input,
                                    const int64_t count) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  float largest = 0.0f;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < count; i += step) {
    largest = fmaxf(largest, fabsf(static_cast<float>(input[i])));
  }
  largest = block_reduce(largest, 0.0f, Max{}) / Fp8Limits<fp8_t>::max;
  // Floats that are not negative are ordered as their bits are.
  if (threadIdx.x == 0) {
    atomicMax(reinterpret_cast<int*>(scale), __float_as_int(largest));
  }
}

template <typename scalar_t, typename fp8_t>
__global__ void per_token_fp8_quant_kernel(fp8_t* __restrict__ out,
                                           const scalar_t* __restrict__ input,
                                           float* __restrict__ scales,
                                           const float* __restrict__ scale_ub,
                                           const int64_t width) {
  const int64_t start = blockIdx.x * width;
  float largest = 0.0f;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    largest = fmaxf(largest, fabsf(static_cast<float>(input[start + i])));
  }
  largest = block_reduce(largest, 0.0f, Max{});
  if (scale_ub != nullptr) largest = fminf(largest, *scale_ub);
  const float scale = fp8_token_scale<fp8_t>(largest);
  if (threadIdx.x == 0) scales[blockIdx.x] = scale;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    out[start + i] =
        quantize_fp8<fp8_t>(static_cast<float>(input[start + i]), scale);
  }
}

}  // namespace samplex

// Runs the body with scalar_t for the input's type and fp8_t for the output's.
#define DISPATCH_FP8_QUANT(NAME, ...)                              \
  SAMPLEX_DISPATCH_FLOATING_TYPES(input.scalar_type(), NAME, [&] { \
    SAMPLEX_DISPATCH_FP8_TYPES(out.scalar_type(), NAME, [&] {      \
      __VA_ARGS__;                                                 \
      C10_CUDA_KERNEL_LAUNCH_CHECK();                              \
    });                                                            \
  })

void static_scaled_fp8_quant(
    torch::Tensor& out, const torch::Tensor& input, const torch::Tensor& scale,
    const std::optional<std::vector<int64_t>>& group_shape) {
  const auto groups =
      samplex::check_static_fp8_quant(out, input, scale, group_shape);
  if (out.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const int64_t width = input.size(-1);
  const dim3 grid(input.numel() / width);
  const dim3 block(samplex::block_size_for(width, /*limit=*/256));
  DISPATCH_FP8_QUANT("static_scaled_fp8_quant",
                     samplex::static_fp8_quant_kernel<scalar_t, fp8_t>
                     <<<grid, block, 0, stream>>>(
                         out.data_ptr<fp8_t>(), input.data_ptr<scalar_t>(),
                         scale.data_ptr<float>(), groups, width));
}

void dynamic_scaled_fp8_quant(torch::Tensor& out, const torch::Tensor& input,
                              torch::Tensor& scale) {
  samplex::check_dynamic_fp8_quant(out, input, scale, 1);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  scale.zero_();
  if (out.numel() == 0) return;
  const int64_t width = input.size(-1);
  const int64_t num_rows = input.numel() / width;
  const dim3 block(samplex::block_size_for(width, /*limit=*/256));
  const dim3 scale_grid(samplex::grid_size_for(input.numel(), block.x));
  DISPATCH_FP8_QUANT(
      "dynamic_scaled_fp8_quant", samplex::tensor_scale_kernel<scalar_t, fp8_t>
      <<<scale_grid, block, 0, stream>>>(
          scale.data_ptr<float>(), input.data_ptr<scalar_t>(), input.numel()));
  const samplex::ScaleGroups one_group{num_rows, width, 1};
  DISPATCH_FP8_QUANT("dynamic_scaled_fp8_quant",
                     samplex::static_fp8_quant_kernel<scalar_t, fp8_t>
                     <<<num_rows, block, 0, stream>>>(
                         out.data_ptr<fp8_t>(), input.data_ptr<scalar_t>(),
                         scale.data_ptr<float>(), one_group, width));
}

void dynamic_per_token_scaled_fp8_quant(
    torch::Tensor& out, const torch::Tensor& input, torch::Tensor& scales,
    const std::optional<torch::Tensor>& scale_ub) {
  const int64_t width = input.size(-1);
  const int64_t num_rows = samplex::row_count(input.numel(), width);
  samplex::check_dynamic_fp8_quant(out, input, scales, num_rows);
  if (out.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const dim3 block(samplex::block_size_for(width, /*limit=*/256));
  const float* bound =
      scale_ub.has_value() ? scale_ub->data_ptr<float>() : nullptr;
  DISPATCH_FP8_QUANT("dynamic_per_token_scaled_fp8_quant",
                     samplex::per_token_fp8_quant_kernel<scalar_t, fp8_t>
                     <<<num_rows, block, 0, stream>>>(
                         out.data_ptr<fp8_t>(), input.data_ptr<scalar_t>(),
                         scales.data_ptr<float>(), bound, width));
}
