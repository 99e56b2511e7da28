#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <optional>

#include "../dispatch_utils.h"
#include "../launch_utils.h"
#include "merge_attn_states_checks.h"
#include "merge_attn_states_math.h"

namespace samplex {

// One block per token and head.
template <typename scalar_t, typename out_t>
__global__ void merge_attn_states_kernel(
    const MergeArguments<scalar_t, out_t> arguments) {
  const int64_t token = blockIdx.x;
  const int64_t head = blockIdx.y;
  const MergeWeights weights = arguments.weights(token, head);
  if (threadIdx.x == 0 && arguments.output_lse != nullptr) {
    arguments.output_lse[head * arguments.num_tokens + token] = weights.lse;
  }
  const int64_t start =
      (token * arguments.num_heads + head) * arguments.head_size;
  for (int64_t i = threadIdx.x; i < arguments.head_size; i += blockDim.x) {
    arguments.merge(start + i, weights);
  }
}

template <typename scalar_t, typename out_t>
void launch_merge_attn_states(const MergeArguments<scalar_t, out_t>& arguments,
                              cudaStream_t stream) {
  const dim3 grid(arguments.num_tokens, arguments.num_heads);
  const dim3 block(block_size_for(arguments.head_size, /*limit=*/128));
  merge_attn_states_kernel<<<grid, block, 0, stream>>>(arguments);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace samplex

#define LAUNCH(ARGUMENTS) samplex::launch_merge_attn_states(ARGUMENTS, stream)

void merge_attn_states(torch::Tensor& output,
                       std::optional<torch::Tensor> output_lse,
                       const torch::Tensor& prefix_output,
                       const torch::Tensor& prefix_lse,
                       const torch::Tensor& suffix_output,
                       const torch::Tensor& suffix_lse,
                       const std::optional<int64_t> prefill_tokens_with_context,
                       const std::optional<torch::Tensor>& output_scale) {
  samplex::check_merge_attn_states(output, output_lse, prefix_output,
                                   prefix_lse, suffix_output, suffix_lse,
                                   output_scale);
  if (output.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(output));
  auto stream = at::cuda::getCurrentCUDAStream();
  DISPATCH_MERGE_ATTN_STATES(LAUNCH);
}
