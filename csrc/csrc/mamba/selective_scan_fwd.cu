#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <optional>

#include "../device_utils.cuh"
#include "../dispatch_utils.h"
#include "selective_scan.h"
#include "selective_scan_checks.h"

namespace samplex {

// One warp per sequence and channel: its lanes share out the states, so that no
// step waits for more than the warp.
template <typename scalar_t, typename state_t>
__global__ void selective_scan_kernel(
    const SelectiveScan<scalar_t, state_t> scan) {
  const int lane = threadIdx.x % SAMPLEX_WARP_SIZE;
  const int64_t warp =
      (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) /
      SAMPLEX_WARP_SIZE;
  if (warp >= scan.num_sequences * scan.num_channels) return;
  constexpr int kLaneStates = kMaxStates / SAMPLEX_WARP_SIZE;
  scan.template run<kLaneStates, SAMPLEX_WARP_SIZE>(
      warp / scan.num_channels, warp % scan.num_channels, lane,
      [](float value) { return warp_reduce(value, Sum{}); });
}

template <typename scalar_t, typename state_t>
void launch_selective_scan(const SelectiveScan<scalar_t, state_t>& scan,
                           cudaStream_t stream) {
  constexpr int kWarpsPerBlock = 4;
  const int64_t warps = scan.num_sequences * scan.num_channels;
  const dim3 grid((warps + kWarpsPerBlock - 1) / kWarpsPerBlock);
  const dim3 block(kWarpsPerBlock * SAMPLEX_WARP_SIZE);
  selective_scan_kernel<<<grid, block, 0, stream>>>(scan);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace samplex

#define LAUNCH(SCAN) samplex::launch_selective_scan(SCAN, stream)

void selective_scan_fwd(
    const torch::Tensor& u, const torch::Tensor& delta, const torch::Tensor& A,
    const torch::Tensor& B, const torch::Tensor& C,
    const std::optional<torch::Tensor>& D_,
    const std::optional<torch::Tensor>& z_,
    const std::optional<torch::Tensor>& delta_bias_, bool delta_softplus,
    const std::optional<torch::Tensor>& query_start_loc,
    const std::optional<torch::Tensor>& cache_indices,
    const std::optional<torch::Tensor>& has_initial_state,
    const torch::Tensor& ssm_states, int64_t null_block_id, int64_t block_size,
    const std::optional<torch::Tensor>& block_idx_first_scheduled_token,
    const std::optional<torch::Tensor>& block_idx_last_scheduled_token,
    const std::optional<torch::Tensor>& initial_state_idx,
    const std::optional<torch::Tensor>& cu_chunk_seqlen,
    const std::optional<torch::Tensor>& last_chunk_indices) {
  const samplex::ScanTensors tensors{u,
                                     delta,
                                     A,
                                     B,
                                     C,
                                     D_,
                                     z_,
                                     delta_bias_,
                                     query_start_loc,
                                     cache_indices,
                                     has_initial_state,
                                     ssm_states,
                                     block_idx_first_scheduled_token,
                                     block_idx_last_scheduled_token,
                                     initial_state_idx,
                                     cu_chunk_seqlen,
                                     last_chunk_indices};
  samplex::check_selective_scan(tensors, block_size);
  TORCH_CHECK(u.is_cuda(), "u must be on the GPU");
  if (u.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(u));
  auto stream = at::cuda::getCurrentCUDAStream().stream();
  DISPATCH_SELECTIVE_SCAN(LAUNCH);
}
