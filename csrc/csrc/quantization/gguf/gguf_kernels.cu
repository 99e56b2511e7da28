#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <optional>

#include "../../device_utils.cuh"
#include "../../dispatch_utils.h"
#include "../../launch_utils.h"
#include "gguf_checks.h"
#include "gguf_format.h"

namespace samplex {

template <typename Format, typename scalar_t>
__global__ void gguf_dequantize_kernel(scalar_t* __restrict__ out,
                                       const uint8_t* __restrict__ weight,
                                       const int64_t count) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < count; i += step) {
    const uint8_t* block = weight + i / Format::kWeights * Format::kBytes;
    out[i] = static_cast<scalar_t>(
        Format::value(block, static_cast<int>(i % Format::kWeights)));
  }
}

// One warp per element of the output. A lane takes one weight of each run, so
// that the warp sees the whole run that it has to round the activations of.
template <typename Format, typename scalar_t>
__global__ void gguf_mul_mat_vec_kernel(scalar_t* __restrict__ out,
                                        const uint8_t* __restrict__ weight,
                                        const scalar_t* __restrict__ input,
                                        const int64_t columns,
                                        const int64_t rows) {
  const int lane = threadIdx.x;
  const int64_t row =
      static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const int64_t token = blockIdx.y;
  if (row >= rows) return;
  const uint8_t* blocks =
      weight + row * (columns / Format::kWeights) * Format::kBytes;

  float sum = 0.0f;
  for (int64_t start = 0; start < columns; start += kGgufRun) {
    const int64_t i = start + lane % kGgufRun;
    const float x = static_cast<float>(input[token * columns + i]);
    const float rounded = round_to_run(x, warp_reduce(fabsf(x), Max{}));
    const uint8_t* block = blocks + i / Format::kWeights * Format::kBytes;
    if (lane < kGgufRun) {
      sum += rounded *
             Format::value(block, static_cast<int>(i % Format::kWeights));
    }
  }
  sum = warp_reduce(sum, Sum{});
  if (lane == 0) out[token * rows + row] = static_cast<scalar_t>(sum);
}

}  // namespace samplex

torch::Tensor ggml_dequantize(torch::Tensor W, int64_t type, int64_t m,
                              int64_t n,
                              const std::optional<at::ScalarType>& dtype) {
  const at::cuda::OptionalCUDAGuard device_guard(device_of(W));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const auto out_dtype = dtype.value_or(at::ScalarType::Half);
  auto options = torch::TensorOptions().dtype(out_dtype).device(W.device());
  torch::Tensor out = torch::empty({m, n}, options);
  samplex::with_gguf_format(type, [&](auto format) {
    using Format = decltype(format);
    samplex::check_gguf_weight<Format>(W, m, n);
    if (out.numel() == 0) return;
    const dim3 block(samplex::block_size_for(out.numel(), /*limit=*/256));
    const dim3 grid(samplex::grid_size_for(out.numel(), block.x));
    SAMPLEX_DISPATCH_FLOATING_TYPES(out_dtype, "ggml_dequantize", [&] {
      samplex::gguf_dequantize_kernel<Format, scalar_t>
          <<<grid, block, 0, stream>>>(out.data_ptr<scalar_t>(),
                                       W.data_ptr<uint8_t>(), out.numel());
      C10_CUDA_KERNEL_LAUNCH_CHECK();
    });
  });
  return out;
}

torch::Tensor ggml_mul_mat_vec_a8(torch::Tensor W, torch::Tensor X,
                                  int64_t type, int64_t row) {
  CHECK_DIM(X, 2);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(X));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const int64_t columns = X.size(1);
  const auto input = X.contiguous();
  auto options = torch::TensorOptions().dtype(X.dtype()).device(W.device());
  torch::Tensor out = torch::empty({X.size(0), row}, options);
  samplex::with_gguf_format(type, [&](auto format) {
    using Format = decltype(format);
    samplex::check_gguf_weight<Format>(W, row, columns);
    if (out.numel() == 0) return;
    const dim3 block(SAMPLEX_WARP_SIZE, 4);
    const dim3 grid((row + block.y - 1) / block.y, X.size(0));
    SAMPLEX_DISPATCH_FLOATING_TYPES(
        X.scalar_type(), "ggml_mul_mat_vec_a8", [&] {
          samplex::gguf_mul_mat_vec_kernel<Format, scalar_t>
              <<<grid, block, 0, stream>>>(
                  out.data_ptr<scalar_t>(), W.data_ptr<uint8_t>(),
                  input.data_ptr<scalar_t>(), columns, row);
          C10_CUDA_KERNEL_LAUNCH_CHECK();
        });
  });
  return out;
}
