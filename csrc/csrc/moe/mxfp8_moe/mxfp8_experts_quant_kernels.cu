#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <cutlass/float8.h>
#include <torch/library.h>
#include <torch/types.h>

#include "../../core/registration.h"
#include "../../device_utils.cuh"
#include "../../dispatch_utils.h"
#include "../../quantization/quant_math.h"
#include "../../quantization/ue8m0.h"
#include "../../sm100.h"
#include "mxfp8_moe_checks.h"

namespace samplex {

// One warp for each block of 32 elements, a row of the grid for each expert.
template <typename scalar_t>
__global__ void mxfp8_experts_quant_kernel(
    cutlass::float_e4m3_t* __restrict__ out, uint8_t* __restrict__ scales,
    const scalar_t* __restrict__ input, const int64_t input_stride,
    const MxGroups groups, const int64_t k) {
#if SAMPLEX_IS_SM100
  const int64_t expert = blockIdx.y;
  const int64_t blocks = k / kMxBlock;
  const int64_t count = groups.rows(expert) * blocks;
  const int64_t first_row = groups.expert_offsets[expert];
  uint8_t* expert_scales = scales + groups.blockscale_offsets[expert] * blocks;
  const int lane = threadIdx.x % kMxBlock;
  const int64_t warps_per_block = blockDim.x / kMxBlock;

  for (int64_t i = blockIdx.x * warps_per_block + threadIdx.x / kMxBlock;
       i < count; i += gridDim.x * warps_per_block) {
    const int64_t row = i / blocks;
    const int64_t column = i % blocks * kMxBlock + lane;
    const float x =
        static_cast<float>(input[(first_row + row) * input_stride + column]);
    const float largest = warp_reduce(fabsf(x), Max{});
    const uint8_t exponent =
        ue8m0_from_float(largest / Fp8Limits<c10::Float8_e4m3fn>::max);
    out[(first_row + row) * k + column] =
        cutlass::float_e4m3_t(x / ue8m0_to_float(exponent));
    if (lane == 0) {
      expert_scales[mx_scale_offset(row, i % blocks, blocks)] = exponent;
    }
  }
#endif
}

}  // namespace samplex

void mxfp8_experts_quant(const torch::Tensor& input,
                         const torch::Tensor& problem_sizes,
                         const torch::Tensor& expert_offsets,
                         const torch::Tensor& blockscale_offsets,
                         torch::Tensor& quant_output,
                         torch::Tensor& scale_factor) {
  const auto groups = samplex::check_mx_groups(problem_sizes, expert_offsets,
                                               blockscale_offsets);
  samplex::check_mxfp8_experts_quant(input, quant_output, scale_factor);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));
  samplex::check_sm100("mxfp8_experts_quant");
  if (input.numel() == 0 || groups.count == 0) return;

  auto stream = at::cuda::getCurrentCUDAStream();
  const dim3 block(256);
  const dim3 grid(at::cuda::getCurrentDeviceProperties()->multiProcessorCount,
                  groups.count);
  SAMPLEX_DISPATCH_HALF_TYPES(input.scalar_type(), "mxfp8_experts_quant", [&] {
    samplex::mxfp8_experts_quant_kernel<scalar_t><<<grid, block, 0, stream>>>(
        static_cast<cutlass::float_e4m3_t*>(quant_output.data_ptr()),
        scale_factor.data_ptr<uint8_t>(), input.data_ptr<scalar_t>(),
        input.stride(0), groups, input.size(1));
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
  m.impl("mxfp8_experts_quant", &mxfp8_experts_quant);
}
