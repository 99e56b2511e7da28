#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include "activation_checks.h"
#include "activation_math.h"
#include "device_utils.cuh"
#include "dispatch_utils.h"
#include "launch_utils.h"

namespace samplex {

// One block per row: out[i] = act(input[i], input[width + i]).
template <typename scalar_t, int VEC_SIZE, typename Activation>
__global__ void gated_kernel(scalar_t* __restrict__ out,
                             const scalar_t* __restrict__ input,
                             const int64_t width, const Activation act) {
  using vec_t = Vec<scalar_t, VEC_SIZE>;
  const int64_t row = blockIdx.x;
  const auto* gate = reinterpret_cast<const vec_t*>(input + row * 2 * width);
  const auto* value =
      reinterpret_cast<const vec_t*>(input + row * 2 * width + width);
  auto* result = reinterpret_cast<vec_t*>(out + row * width);

  for (int64_t i = threadIdx.x; i < width / VEC_SIZE; i += blockDim.x) {
    const vec_t x = gate[i];
    const vec_t y = value[i];
    vec_t z;
#pragma unroll
    for (int j = 0; j < VEC_SIZE; ++j) {
      z.data[j] = static_cast<scalar_t>(
          act(static_cast<float>(x.data[j]), static_cast<float>(y.data[j])));
    }
    result[i] = z;
  }
}

template <typename scalar_t, typename Activation>
__global__ void elementwise_kernel(scalar_t* __restrict__ out,
                                   const scalar_t* __restrict__ input,
                                   const int64_t count, const Activation act) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < count; i += step) {
    out[i] = static_cast<scalar_t>(act(static_cast<float>(input[i])));
  }
}

}  // namespace samplex

// Vectors need both halves of every row to start on a vector boundary.
#define LAUNCH_GATED_ACTIVATION(NAME, ACTIVATION)                              \
  samplex::check_gated(out, input, NAME);                                      \
  if (out.numel() == 0) return;                                                \
  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));            \
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();                \
  const int64_t width = out.size(-1);                                          \
  const dim3 grid(out.numel() / width);                                        \
  const auto rows = input.contiguous();                                        \
  SAMPLEX_DISPATCH_FLOATING_TYPES(input.scalar_type(), NAME, [&] {             \
    constexpr int kVec = samplex::kVectorSize<scalar_t>;                       \
    scalar_t* out_data = out.data_ptr<scalar_t>();                             \
    const scalar_t* row_data = rows.data_ptr<scalar_t>();                      \
    if (width % kVec == 0 && samplex::is_vector_aligned(out_data) &&           \
        samplex::is_vector_aligned(row_data)) {                                \
      const dim3 block(samplex::block_size_for(width / kVec));                 \
      samplex::gated_kernel<scalar_t, kVec>                                    \
          <<<grid, block, 0, stream>>>(out_data, row_data, width, ACTIVATION); \
    } else {                                                                   \
      const dim3 block(samplex::block_size_for(width));                        \
      samplex::gated_kernel<scalar_t, 1>                                       \
          <<<grid, block, 0, stream>>>(out_data, row_data, width, ACTIVATION); \
    }                                                                          \
    C10_CUDA_KERNEL_LAUNCH_CHECK();                                            \
  });

#define LAUNCH_ELEMENTWISE_ACTIVATION(NAME, ACTIVATION)                     \
  samplex::check_elementwise(out, input, NAME);                             \
  if (out.numel() == 0) return;                                             \
  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));         \
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();             \
  const auto values = input.contiguous();                                   \
  const dim3 block(samplex::block_size_for(out.numel(), /*limit=*/512));    \
  const dim3 grid(samplex::grid_size_for(out.numel(), block.x));            \
  SAMPLEX_DISPATCH_FLOATING_TYPES(input.scalar_type(), NAME, [&] {          \
    samplex::elementwise_kernel<scalar_t><<<grid, block, 0, stream>>>(      \
        out.data_ptr<scalar_t>(), values.data_ptr<scalar_t>(), out.numel(), \
        ACTIVATION);                                                        \
    C10_CUDA_KERNEL_LAUNCH_CHECK();                                         \
  });

void silu_and_mul(torch::Tensor& out, const torch::Tensor& input) {
  LAUNCH_GATED_ACTIVATION("silu_and_mul", samplex::SiluAndMul{});
}

void silu_and_mul_clamp(torch::Tensor& out, const torch::Tensor& input,
                        double limit) {
  LAUNCH_GATED_ACTIVATION("silu_and_mul_with_clamp",
                          samplex::SiluAndMulClamp{static_cast<float>(limit)});
}

void mul_and_silu(torch::Tensor& out, const torch::Tensor& input) {
  LAUNCH_GATED_ACTIVATION("mul_and_silu", samplex::MulAndSilu{});
}

void gelu_and_mul(torch::Tensor& out, const torch::Tensor& input) {
  LAUNCH_GATED_ACTIVATION("gelu_and_mul", samplex::GeluAndMul{});
}

void gelu_tanh_and_mul(torch::Tensor& out, const torch::Tensor& input) {
  LAUNCH_GATED_ACTIVATION("gelu_tanh_and_mul", samplex::GeluTanhAndMul{});
}

void fatrelu_and_mul(torch::Tensor& out, const torch::Tensor& input,
                     double threshold) {
  LAUNCH_GATED_ACTIVATION(
      "fatrelu_and_mul", samplex::FatreluAndMul{static_cast<float>(threshold)});
}

void gelu_new(torch::Tensor& out, const torch::Tensor& input) {
  LAUNCH_ELEMENTWISE_ACTIVATION("gelu_new", samplex::GeluNew{});
}

void gelu_fast(torch::Tensor& out, const torch::Tensor& input) {
  LAUNCH_ELEMENTWISE_ACTIVATION("gelu_fast", samplex::GeluFast{});
}

void gelu_quick(torch::Tensor& out, const torch::Tensor& input) {
  LAUNCH_ELEMENTWISE_ACTIVATION("gelu_quick", samplex::GeluQuick{});
}
