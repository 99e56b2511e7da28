#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/types.h>

#include <algorithm>
#include <tuple>

#include "device_utils.cuh"
#include "dispatch_utils.h"
#include "launch_utils.h"
#include "minimax.h"
#include "minimax_checks.h"
#include "rank_barrier.cuh"

namespace samplex {

// A block takes a row at a time, and meets the blocks of the peers that have
// the same row.
template <typename scalar_t>
__global__ void minimax_reduce_rms_kernel(const RmsParts<scalar_t> parts,
                                          const RmsGroup group,
                                          const int64_t num_rows,
                                          const float eps) {
  const Peers peers = group.count > 1 ? group.peers() : Peers{};
  for (int64_t row = blockIdx.x; row < num_rows; row += gridDim.x) {
    float sums[kMaxRmsParts] = {};
    for (int part = 0; part < parts.count; ++part) {
      const auto& p = parts.of[part];
      const scalar_t* input = p.input + row * p.input_stride;
      float sum = 0.0f;
      for (int64_t i = threadIdx.x; i < p.width; i += blockDim.x) {
        const float x = static_cast<float>(input[i]);
        sum += x * x;
      }
      sums[part] = block_reduce(sum, 0.0f, Sum{});
    }
    if (group.count > 1) {
      if (threadIdx.x == 0) {
        RmsMemory* own = group.memory[group.rank];
        const uint32_t next = own->signals.passed[blockIdx.x] + 1;
        for (int part = 0; part < parts.count; ++part) {
          own->sums[next % 2][blockIdx.x][part] = sums[part];
        }
      }
      const uint32_t barrier = rank_barrier(peers);
      for (int part = 0; part < parts.count; ++part) {
        sums[part] = group.total(barrier, blockIdx.x, part);
      }
    }
    for (int part = 0; part < parts.count; ++part) {
      const auto& p = parts.of[part];
      const scalar_t* input = p.input + row * p.input_stride;
      const float width = static_cast<float>(p.width * group.count);
      const float scale = rsqrtf(sums[part] / width + eps);
      for (int64_t i = threadIdx.x; i < p.width; i += blockDim.x) {
        p.out[row * p.width + i] =
            static_cast<scalar_t>(static_cast<float>(input[i]) * scale *
                                  static_cast<float>(p.weight[i]));
      }
    }
  }
}

template <typename scalar_t>
void launch_reduce_rms(const RmsParts<scalar_t>& parts, const RmsGroup& group,
                       int64_t num_rows, double eps, cudaStream_t stream) {
  // The same on every rank: the blocks of a row wait for each other.
  const dim3 grid(std::min<int64_t>(num_rows, kMaxSignalBlocks));
  const dim3 block(block_size_for(parts.of[0].width, /*limit=*/512));
  minimax_reduce_rms_kernel<<<grid, block, 0, stream>>>(
      parts, group, num_rows, static_cast<float>(eps));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace samplex

torch::Tensor minimax_allreduce_rms(torch::Tensor const& input,
                                    torch::Tensor const& norm_weight,
                                    torch::Tensor workspace, int64_t const rank,
                                    int64_t const nranks, double const eps) {
  const auto group = samplex::check_rms_group(workspace, rank, nranks);
  samplex::check_allreduce_rms(input, norm_weight);
  torch::Tensor out = torch::empty_like(input);
  if (input.numel() == 0) return out;

  const at::cuda::OptionalCUDAGuard device_guard(device_of(input));
  auto stream = at::cuda::getCurrentCUDAStream(input.get_device());
  const int64_t num_rows = samplex::row_count(input.numel(), input.size(-1));
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      input.scalar_type(), "minimax_allreduce_rms", [&] {
        samplex::launch_reduce_rms(
            samplex::rms_parts<scalar_t>(out, input, norm_weight), group,
            num_rows, eps, stream);
      });
  return out;
}

std::tuple<torch::Tensor, torch::Tensor> minimax_allreduce_rms_qk(
    torch::Tensor qkv, torch::Tensor const& norm_weight_q,
    torch::Tensor const& norm_weight_k, torch::Tensor workspace,
    int64_t const q_size, int64_t const kv_size, int64_t const rank,
    int64_t const nranks, double const eps) {
  const auto group = samplex::check_rms_group(workspace, rank, nranks);
  samplex::check_allreduce_rms_qk(qkv, norm_weight_q, norm_weight_k, q_size,
                                  kv_size);
  const int64_t num_tokens = qkv.size(0);
  torch::Tensor q = torch::empty({num_tokens, q_size}, qkv.options());
  torch::Tensor k = torch::empty({num_tokens, kv_size}, qkv.options());
  if (num_tokens == 0) return {q, k};

  const at::cuda::OptionalCUDAGuard device_guard(device_of(qkv));
  auto stream = at::cuda::getCurrentCUDAStream(qkv.get_device());
  SAMPLEX_DISPATCH_FLOATING_TYPES(
      qkv.scalar_type(), "minimax_allreduce_rms_qk", [&] {
        samplex::launch_reduce_rms(samplex::rms_parts<scalar_t>(
                                       q, k, qkv, norm_weight_q, norm_weight_k),
                                   group, num_tokens, eps, stream);
      });
  return {q, k};
}
