#include "../nvfp4_cache.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "../dispatch_utils.h"
#include "../nvfp4_cache_checks.h"
#include "row_grain.h"

void reshape_and_cache_nvfp4_cpu(torch::Tensor& key, torch::Tensor& value,
                                 torch::Tensor& key_cache,
                                 torch::Tensor& value_cache,
                                 torch::Tensor& slot_mapping,
                                 torch::Tensor& k_scale,
                                 torch::Tensor& v_scale) {
  samplex::check_nvfp4_cache(key, value, key_cache, value_cache, slot_mapping,
                             k_scale, v_scale);
  SAMPLEX_DISPATCH_HALF_TYPES(
      key.scalar_type(), "reshape_and_cache_nvfp4", [&] {
        const auto a = samplex::fp4_arguments<scalar_t>(
            key, value, key_cache, value_cache, slot_mapping, k_scale, v_scale);
        const int64_t blocks = a.head_size / samplex::kFp4Block;
        at::parallel_for(
            0, a.num_tokens, samplex::row_grain(a.heads * a.head_size),
            [&](int64_t begin, int64_t end) {
              for (int64_t token = begin; token < end; ++token) {
                const int64_t slot = a.slot_mapping[token];
                if (slot < 0) continue;
                for (const auto* part : {&a.key, &a.value}) {
                  for (int64_t i = 0; i < a.heads * blocks; ++i) {
                    part->insert(token, slot, a.block_size, i / blocks,
                                 i % blocks, a.head_size);
                  }
                }
              }
            });
      });
}
