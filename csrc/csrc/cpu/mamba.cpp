#include <ATen/Parallel.h>
#include <torch/types.h>

#include <optional>

#include "../dispatch_utils.h"
#include "../mamba/selective_scan.h"
#include "../mamba/selective_scan_checks.h"
#include "row_grain.h"

namespace samplex {
namespace {

template <typename scalar_t, typename state_t>
void scan_all(const SelectiveScan<scalar_t, state_t>& scan) {
  at::parallel_for(0, scan.num_sequences * scan.num_channels,
                   row_grain(scan.num_steps * scan.num_states),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       scan.template run<kMaxStates, 1>(
                           i / scan.num_channels, i % scan.num_channels,
                           /*lane=*/0, [](float value) { return value; });
                     }
                   });
}

}  // namespace
}  // namespace samplex

void selective_scan_fwd_cpu(
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
  DISPATCH_SELECTIVE_SCAN(samplex::scan_all);
}
