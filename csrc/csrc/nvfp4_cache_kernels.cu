#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>
#include <torch/types.h>

#include "core/registration.h"
#include "dispatch_utils.h"
#include "launch_utils.h"
#include "nvfp4_cache.h"
#include "nvfp4_cache_checks.h"
#include "sm100.h"

namespace samplex {

// A block for each token (x), and for key and value (y); a thread quantises 16
// elements at a time.
template <typename scalar_t>
__global__ void reshape_and_cache_nvfp4_kernel(const Fp4Arguments<scalar_t> a) {
#if SAMPLEX_IS_SM100
  const int64_t token = blockIdx.x;
  const int64_t slot = a.slot_mapping[token];
  if (slot < 0) return;
  const auto& part = blockIdx.y == 0 ? a.key : a.value;
  const int64_t blocks = a.head_size / kFp4Block;
  for (int64_t i = threadIdx.x; i < a.heads * blocks; i += blockDim.x) {
    part.insert(token, slot, a.block_size, i / blocks, i % blocks, a.head_size);
  }
#endif
}

}  // namespace samplex

void reshape_and_cache_nvfp4(torch::Tensor& key, torch::Tensor& value,
                             torch::Tensor& key_cache,
                             torch::Tensor& value_cache,
                             torch::Tensor& slot_mapping,
                             torch::Tensor& k_scale, torch::Tensor& v_scale) {
  samplex::check_nvfp4_cache(key, value, key_cache, value_cache, slot_mapping,
                             k_scale, v_scale);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(key));
  samplex::check_sm100("reshape_and_cache_nvfp4");
  if (slot_mapping.numel() == 0) return;
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const dim3 grid(slot_mapping.numel(), 2);
  const dim3 block(samplex::block_size_for(
      key.size(1) * key.size(2) / samplex::kFp4Block, /*limit=*/256));
  SAMPLEX_DISPATCH_HALF_TYPES(
      key.scalar_type(), "reshape_and_cache_nvfp4", [&] {
        samplex::reshape_and_cache_nvfp4_kernel<<<grid, block, 0, stream>>>(
            samplex::fp4_arguments<scalar_t>(key, value, key_cache, value_cache,
                                             slot_mapping, k_scale, v_scale));
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      });
}

TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, m) {
  m.impl("reshape_and_cache_nvfp4", &reshape_and_cache_nvfp4);
}
