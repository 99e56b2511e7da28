#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include "device_utils.cuh"
#include "dispatch_utils.h"
#include "launch_utils.h"
#include "layernorm_checks.h"

namespace samplex {

// One block per row throughout this file.
template <typename scalar_t>
__global__ void rms_norm_kernel(scalar_t* __restrict__ out,
                                const scalar_t* __restrict__ input,
                                const int64_t input_stride,
                                const scalar_t* __restrict__ weight,
                                const float epsilon, const int64_t width) {
  const scalar_t* row = input + blockIdx.x * input_stride;
  scalar_t* result = out + blockIdx.x * width;

  float sum_of_squares = 0.0f;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const float x = static_cast<float>(row[i]);
    sum_of_squares += x * x;
  }
  sum_of_squares = block_reduce(sum_of_squares, 0.0f, Sum{});
  const float scale =
      rsqrtf(sum_of_squares / static_cast<float>(width) + epsilon);

  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    result[i] = static_cast<scalar_t>(static_cast<float>(row[i]) * scale *
                                      static_cast<float>(weight[i]));
  }
}

// The sum is rounded to scalar_t before it is squared: the next layer adds to
// what was stored, so that is what has to be normalised.
template <typename scalar_t, int VEC_SIZE>
__global__ void fused_add_rms_norm_kernel(scalar_t* __restrict__ input,
                                          const int64_t input_stride,
                                          scalar_t* __restrict__ residual,
                                          const scalar_t* __restrict__ weight,
                                          const float epsilon,
                                          const int64_t width) {
  using vec_t = Vec<scalar_t, VEC_SIZE>;
  auto* x_row = reinterpret_cast<vec_t*>(input + blockIdx.x * input_stride);
  auto* sum_row = reinterpret_cast<vec_t*>(residual + blockIdx.x * width);
  const auto* weights = reinterpret_cast<const vec_t*>(weight);
  const int64_t num_vecs = width / VEC_SIZE;

  float sum_of_squares = 0.0f;
  for (int64_t i = threadIdx.x; i < num_vecs; i += blockDim.x) {
    const vec_t x = x_row[i];
    vec_t sum = sum_row[i];
#pragma unroll
    for (int j = 0; j < VEC_SIZE; ++j) {
      sum.data[j] = static_cast<scalar_t>(static_cast<float>(x.data[j]) +
                                          static_cast<float>(sum.data[j]));
      const float value = static_cast<float>(sum.data[j]);
      sum_of_squares += value * value;
    }
    sum_row[i] = sum;
  }
  sum_of_squares = block_reduce(sum_of_squares, 0.0f, Sum{});
  const float scale =
      rsqrtf(sum_of_squares / static_cast<float>(width) + epsilon);

  // Each thread reads back only what it stored itself.
  for (int64_t i = threadIdx.x; i < num_vecs; i += blockDim.x) {
    const vec_t sum = sum_row[i];
    const vec_t w = weights[i];
    vec_t result;
#pragma unroll
    for (int j = 0; j < VEC_SIZE; ++j) {
      result.data[j] =
          static_cast<scalar_t>(static_cast<float>(sum.data[j]) * scale *
                                static_cast<float>(w.data[j]));
    }
    x_row[i] = result;
  }
}

}  // namespace samplex

void rms_norm(torch::Tensor& out, const torch::Tensor& input,
              const torch::Tensor& weight, double epsilon) {
  samplex::check_rms_norm(out, input, weight);
  if (input.numel() == 0) return;

  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const int64_t width = input.size(-1);
  // Evenly spaced rows are read in place, anything else from a copy.
  const auto rows = samplex::has_even_rows(input) ? input : input.contiguous();
  const dim3 grid(samplex::row_count(input.numel(), width));
  const dim3 block(samplex::block_size_for(width));

  SAMPLEX_DISPATCH_FLOATING_TYPES(input.scalar_type(), "rms_norm", [&] {
    samplex::rms_norm_kernel<scalar_t><<<grid, block, 0, stream>>>(
        out.data_ptr<scalar_t>(), rows.data_ptr<scalar_t>(),
        samplex::row_stride(rows), weight.data_ptr<scalar_t>(),
        static_cast<float>(epsilon), width);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

// Expects input, residual, weight, epsilon, width, stride, grid, block and
// stream of the caller.
#define LAUNCH_FUSED_ADD_RMS_NORM(VEC_SIZE)                                  \
  samplex::fused_add_rms_norm_kernel<scalar_t, VEC_SIZE>                     \
      <<<grid, block, 0, stream>>>(input.data_ptr<scalar_t>(), input_stride, \
                                   residual.data_ptr<scalar_t>(),            \
                                   weight.data_ptr<scalar_t>(),              \
                                   static_cast<float>(epsilon), width);      \
  C10_CUDA_KERNEL_LAUNCH_CHECK()

void fused_add_rms_norm(torch::Tensor& input, torch::Tensor& residual,
                        const torch::Tensor& weight, double epsilon) {
  samplex::check_fused_add_rms_norm(input, residual, weight);
  if (input.numel() == 0) return;

  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const int64_t width = input.size(-1);
  const int64_t input_stride = samplex::row_stride(input);
  const dim3 grid(samplex::row_count(input.numel(), width));

  // Eight 16-bit elements fill a vector: all rows must start and end on one.
  constexpr int kHalfVec = 8;
  const bool aligned = width % kHalfVec == 0 && input_stride % kHalfVec == 0 &&
                       samplex::is_vector_aligned(input.data_ptr()) &&
                       samplex::is_vector_aligned(residual.data_ptr()) &&
                       samplex::is_vector_aligned(weight.data_ptr());
  if (aligned && input.scalar_type() != at::ScalarType::Float) {
    const dim3 block(samplex::block_size_for(width / kHalfVec));
    SAMPLEX_DISPATCH_HALF_TYPES(input.scalar_type(), "fused_add_rms_norm",
                                [&] { LAUNCH_FUSED_ADD_RMS_NORM(kHalfVec); });
  } else {
    const dim3 block(samplex::block_size_for(width));
    SAMPLEX_DISPATCH_FLOATING_TYPES(input.scalar_type(), "fused_add_rms_norm",
                                    [&] { LAUNCH_FUSED_ADD_RMS_NORM(1); });
  }
}
