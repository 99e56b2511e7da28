#include "segments.h"

#include <ATen/Dispatch.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>

namespace {

constexpr int kThreads = 256;

// A block has a segment, a thread its columns.
template <typename scalar_t>
__global__ void mean_kernel(
    const scalar_t* __restrict__ x, const int64_t* __restrict__ offsets, scalar_t* __restrict__ mean,
    scalar_t* __restrict__ length, int64_t width) {
  const int64_t s = blockIdx.x;
  const int64_t rows = offsets[s + 1] - offsets[s];
  const scalar_t n = static_cast<scalar_t>(rows > 0 ? rows : 1);
  if (threadIdx.x == 0) length[s] = n;
  for (int64_t c = threadIdx.x; c < width; c += blockDim.x) {
    scalar_t sum = 0;
    for (int64_t r = offsets[s]; r < offsets[s + 1]; ++r) sum += x[r * width + c];
    mean[s * width + c] = sum / n;
  }
}

template <typename scalar_t>
__global__ void mean_backward_kernel(
    const scalar_t* __restrict__ grad, const int64_t* __restrict__ offsets, const scalar_t* __restrict__ length,
    scalar_t* __restrict__ grad_x, int64_t width) {
  const int64_t s = blockIdx.x;
  for (int64_t c = threadIdx.x; c < width; c += blockDim.x) {
    const scalar_t g = grad[s * width + c] / length[s];
    for (int64_t r = offsets[s]; r < offsets[s + 1]; ++r) grad_x[r * width + c] = g;
  }
}

}  // namespace

void segment_mean_cuda(const at::Tensor& x, const at::Tensor& offsets, at::Tensor& mean, at::Tensor& length) {
  const at::cuda::OptionalCUDAGuard guard(device_of(x));
  const int64_t segments = length.size(0);
  if (segments == 0) return;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "segment_mean_cuda", [&] {
    mean_kernel<scalar_t><<<segments, kThreads, 0, at::cuda::getCurrentCUDAStream()>>>(
        x.data_ptr<scalar_t>(), offsets.data_ptr<int64_t>(), mean.data_ptr<scalar_t>(), length.data_ptr<scalar_t>(),
        x.size(1));
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

void segment_mean_backward_cuda(
    const at::Tensor& grad, const at::Tensor& offsets, const at::Tensor& length, at::Tensor& grad_x) {
  const at::cuda::OptionalCUDAGuard guard(device_of(grad));
  const int64_t segments = length.size(0);
  if (segments == 0) return;
  AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "segment_mean_backward_cuda", [&] {
    mean_backward_kernel<scalar_t><<<segments, kThreads, 0, at::cuda::getCurrentCUDAStream()>>>(
        grad.data_ptr<scalar_t>(), offsets.data_ptr<int64_t>(), length.data_ptr<scalar_t>(),
        grad_x.data_ptr<scalar_t>(), grad.size(1));
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}
