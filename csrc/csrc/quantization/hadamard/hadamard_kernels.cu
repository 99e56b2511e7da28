#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>
#include <torch/types.h>

#include <cmath>

#include "../../core/registration.h"
#include "../../dispatch_utils.h"
#include "../../launch_utils.h"
#include "hadamard_checks.h"

namespace samplex {

// The fast Walsh-Hadamard transform of one row per block, in shared memory.
template <typename scalar_t>
__global__ void hadamard_kernel(scalar_t* __restrict__ out,
                                const scalar_t* __restrict__ input,
                                const int width, const float scale) {
  extern __shared__ float row[];
  const int64_t start = static_cast<int64_t>(blockIdx.x) * width;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    row[i] = static_cast<float>(input[start + i]);
  }
  for (int half = 1; half < width; half *= 2) {
    __syncthreads();
    for (int pair = threadIdx.x; pair < width / 2; pair += blockDim.x) {
      const int low = pair / half * 2 * half + pair % half;
      const float a = row[low];
      const float b = row[low + half];
      row[low] = a + b;
      row[low + half] = a - b;
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    out[start + i] = static_cast<scalar_t>(row[i] * scale);
  }
}

}  // namespace samplex

// The result is a tensor of its own in both cases: a functional caller must
// not be handed its own argument.
torch::Tensor hadacore_transform(torch::Tensor& x, bool inplace) {
  samplex::check_hadamard(x);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(x));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();

  torch::Tensor out = torch::empty_like(x);
  if (x.numel() == 0) return out;
  const int width = static_cast<int>(x.size(-1));
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  const int shared_bytes = width * static_cast<int>(sizeof(float));
  const dim3 grid(x.numel() / width);
  const dim3 block(samplex::block_size_for(width / 2));

  SAMPLEX_DISPATCH_HALF_TYPES(x.scalar_type(), "hadacore_transform", [&] {
    auto kernel = samplex::hadamard_kernel<scalar_t>;
    // Long rows need more shared memory than a block gets by default.
    C10_CUDA_CHECK(cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes));
    kernel<<<grid, block, shared_bytes, stream>>>(
        out.data_ptr<scalar_t>(), x.data_ptr<scalar_t>(), width, scale);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  if (inplace) x.copy_(out);
  return out;
}

TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
  m.impl("hadacore_transform", &hadacore_transform);
}
