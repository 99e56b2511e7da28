#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <string>

#include "cache.h"
#include "cache_checks.h"
#include "cache_rows.cuh"

void concat_and_cache_mla_rope_fused(
    torch::Tensor& positions, torch::Tensor& q_pe, torch::Tensor& k_pe,
    torch::Tensor& kv_c, torch::Tensor& cos_sin_cache, bool is_neox,
    torch::Tensor& slot_mapping, torch::Tensor& kv_cache,
    const std::string& kv_cache_dtype, torch::Tensor& kv_cache_scale) {
  samplex::check_latent(kv_c, k_pe, kv_cache, slot_mapping, kv_cache_dtype,
                        kv_cache_scale);
  samplex::check_rope(positions, q_pe, k_pe, cos_sin_cache);
  const at::cuda::OptionalCUDAGuard device_guard(device_of(kv_c));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  SAMPLEX_DISPATCH_KV_CACHE(
      kv_c.scalar_type(), kv_cache_dtype, "concat_and_cache_mla_rope_fused",
      [&] {
        const auto latent = samplex::store_latent<scalar_t, cache_t>(
            kv_c, k_pe, kv_cache, slot_mapping, kv_cache_scale);
        samplex::launch_rows(
            samplex::rotate_and_store_latent(latent, positions, q_pe, k_pe,
                                             cos_sin_cache, is_neox),
            slot_mapping.numel(), stream);
      });
}
