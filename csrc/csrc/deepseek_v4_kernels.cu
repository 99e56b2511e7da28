#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include "deepseek_v4.h"
#include "deepseek_v4_checks.h"
#include "device_utils.cuh"
#include "dispatch_utils.h"

namespace samplex {

constexpr int kV4Threads = kV4HeadSize / kV4LaneElements;
constexpr int kV4QuantThreads = kV4QuantBlock / kV4LaneElements;

// A block for each token (x) and head (y); the head behind the last one is the
// key.
template <typename scalar_t>
__global__ void deepseek_v4_kernel(const V4Arguments<scalar_t> a) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();  // launched before its inputs are there
#endif
  const int64_t token = blockIdx.x;
  const int64_t head = blockIdx.y;
  const int start = threadIdx.x * kV4LaneElements;
  V4Lane lane{};

  if (head < a.padded_heads) {
    if (head < a.heads) {
      lane.load(a.q_in + (token * a.heads + head) * kV4HeadSize, start);
      const float sum = block_reduce(lane.sum_of_squares(), 0.0f, Sum{});
      lane.scale(rsqrtf(sum / kV4HeadSize + a.eps));
      lane.rotate(v4_cos_sin(a, token), start);
    }
    lane.store(a.q_out + (token * a.padded_heads + head) * kV4HeadSize, start);
    return;
  }

  if (token >= a.inserted || a.slot_mapping[token] < 0) return;
  lane.load(a.kv + token * kV4HeadSize, start);
  lane.rotate(v4_cos_sin(a, token), start);
  float largest = lane.largest();
#pragma unroll
  for (int lanes = kV4QuantThreads / 2; lanes > 0; lanes /= 2) {
    largest = fmaxf(largest, SAMPLEX_SHFL_XOR(largest, lanes));
  }
  V4Slot slot(a, a.slot_mapping[token]);
  slot.store<scalar_t>(lane, start, largest);
}

template <typename scalar_t>
void launch_deepseek_v4(const V4Arguments<scalar_t>& arguments,
                        cudaStream_t stream) {
  static const int major = at::cuda::getCurrentDeviceProperties()->major;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(arguments.num_tokens, arguments.padded_heads + 1);
  config.blockDim = dim3(kV4Threads);
  config.stream = stream;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = major >= 9 ? 1 : 0;
  C10_CUDA_CHECK(
      cudaLaunchKernelEx(&config, deepseek_v4_kernel<scalar_t>, arguments));
}

}  // namespace samplex

torch::Tensor fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert(
    torch::Tensor const& q_in, torch::Tensor const& kv, torch::Tensor& k_cache,
    torch::Tensor const& slot_mapping, torch::Tensor const& position_ids,
    torch::Tensor const& cos_sin_cache, int64_t q_head_padded, double eps,
    int64_t cache_block_size) {
  samplex::check_deepseek_v4(q_in, kv, k_cache, slot_mapping, position_ids,
                             cos_sin_cache, q_head_padded, cache_block_size);
  at::cuda::OptionalCUDAGuard device_guard(device_of(q_in));
  auto stream = at::cuda::getCurrentCUDAStream();

  torch::Tensor q_out = torch::empty(
      {q_in.size(0), q_head_padded, samplex::kV4HeadSize}, q_in.options());
  if (q_in.size(0) == 0) return q_out;
  SAMPLEX_DISPATCH_HALF_TYPES(
      q_in.scalar_type(), "fused_deepseek_v4_qnorm_rope_kv_rope_quant_insert",
      [&] {
        samplex::launch_deepseek_v4(
            samplex::v4_arguments<scalar_t>(
                q_out, q_in, kv, k_cache, slot_mapping, position_ids,
                cos_sin_cache, eps, cache_block_size),
            stream);
      });
  return q_out;
}
