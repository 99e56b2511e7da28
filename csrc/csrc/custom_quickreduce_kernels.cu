// Quick reduce: an all-reduce for AMD GPUs alone that sends 8 bits for each
// element. The links between these GPUs are slow enough for that to pay.
#ifdef USE_ROCM

  #include <c10/cuda/CUDAException.h>
  #include <c10/cuda/CUDAGuard.h>
  #include <c10/cuda/CUDAStream.h>
  #include <torch/types.h>

  #include <algorithm>
  #include <cstring>
  #include <vector>

  #include "check_utils.h"
  #include "device_utils.cuh"
  #include "dispatch_utils.h"
  #include "ops.h"
  #include "quantization/quant_math.h"
  #include "rank_barrier.cuh"
  #include "rank_checks.h"

namespace samplex {

constexpr int64_t kQuickReduceBytes = 64 << 20;  // of one rank's buffer
constexpr int kQuickReduceRun = 256;  // elements with one scale, one per thread

// The buffer of one rank: flags, scales, codes.
struct QuickBuffer {
  Signals signals;
  float scales[kQuickReduceBytes / kQuickReduceRun];
  int8_t codes[kQuickReduceBytes];
};

// A rank's view of the group: the buffers, its own among them.
struct QuickReduce {
  QuickBuffer* buffers[kMaxRanks];
  Peers peers;
};

// Each run is rounded to 8 bits with the scale of its largest element; what the
// ranks add up is what they sent, so that all get the same bits.
template <typename scalar_t>
__global__ void quick_reduce_kernel(scalar_t* __restrict__ out,
                                    const scalar_t* __restrict__ input,
                                    const QuickReduce group,
                                    const int64_t count) {
  const int64_t num_runs = (count + kQuickReduceRun - 1) / kQuickReduceRun;
  QuickBuffer* own = group.buffers[group.peers.rank];
  for (int64_t run = blockIdx.x; run < num_runs; run += gridDim.x) {
    const int64_t i = run * kQuickReduceRun + threadIdx.x;
    const float x = i < count ? static_cast<float>(input[i]) : 0.0f;
    const float scale = block_reduce(fabsf(x), 0.0f, Max{}) / kInt8Max;
    if (threadIdx.x == 0) own->scales[run] = scale;
    own->codes[i] = quantize_int8(x, scale, 0);
  }
  rank_barrier(group.peers);
  for (int64_t run = blockIdx.x; run < num_runs; run += gridDim.x) {
    const int64_t i = run * kQuickReduceRun + threadIdx.x;
    if (i >= count) break;
    float sum = 0.0f;
    for (int rank = 0; rank < group.peers.count; ++rank) {
      const QuickBuffer* peer = group.buffers[rank];
      sum += static_cast<float>(peer->codes[i]) * peer->scales[run];
    }
    out[i] = static_cast<scalar_t>(sum);
  }
  rank_barrier(group.peers);
}

}  // namespace samplex

fptr_t init_custom_qr(int64_t rank, int64_t world_size) {
  samplex::check_rank(rank, world_size);
  auto* group = new samplex::QuickReduce{};
  group->peers.rank = static_cast<int>(rank);
  group->peers.count = static_cast<int>(world_size);
  void* buffer = nullptr;
  C10_CUDA_CHECK(cudaMalloc(&buffer, sizeof(samplex::QuickBuffer)));
  C10_CUDA_CHECK(cudaMemset(buffer, 0, sizeof(samplex::QuickBuffer)));
  group->buffers[rank] = static_cast<samplex::QuickBuffer*>(buffer);
  return reinterpret_cast<fptr_t>(group);
}

torch::Tensor qr_get_handle(fptr_t fa) {
  auto* group = reinterpret_cast<samplex::QuickReduce*>(fa);
  auto handle = torch::empty({static_cast<int64_t>(sizeof(cudaIpcMemHandle_t))},
                             torch::TensorOptions().dtype(torch::kUInt8));
  C10_CUDA_CHECK(
      cudaIpcGetMemHandle(static_cast<cudaIpcMemHandle_t*>(handle.data_ptr()),
                          group->buffers[group->peers.rank]));
  return handle;
}

void qr_open_handles(fptr_t fa, const std::vector<torch::Tensor>& handles) {
  auto* group = reinterpret_cast<samplex::QuickReduce*>(fa);
  TORCH_CHECK_EQ(static_cast<int>(handles.size()), group->peers.count);
  for (int rank = 0; rank < group->peers.count; ++rank) {
    if (rank != group->peers.rank) {
      cudaIpcMemHandle_t handle;
      std::memcpy(&handle, handles[rank].data_ptr(), sizeof(handle));
      void* buffer = nullptr;
      C10_CUDA_CHECK(cudaIpcOpenMemHandle(&buffer, handle,
                                          cudaIpcMemLazyEnablePeerAccess));
      group->buffers[rank] = static_cast<samplex::QuickBuffer*>(buffer);
    }
    group->peers.of[rank] = &group->buffers[rank]->signals;
  }
}

void qr_all_reduce(fptr_t fa, torch::Tensor& inp, torch::Tensor& out) {
  const auto* group = reinterpret_cast<samplex::QuickReduce*>(fa);
  CHECK_SAME_DTYPE(inp, out);
  CHECK_CONTIGUOUS(inp);
  CHECK_CONTIGUOUS(out);
  TORCH_CHECK_EQ(inp.numel(), out.numel());
  TORCH_CHECK(inp.numel() <= samplex::kQuickReduceBytes, "inp is too large");
  if (inp.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(inp));
  const cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  const dim3 block(samplex::kQuickReduceRun);
  const dim3 grid(std::min<int64_t>((inp.numel() + block.x - 1) / block.x,
                                    samplex::kMaxSignalBlocks));
  SAMPLEX_DISPATCH_HALF_TYPES(inp.scalar_type(), "qr_all_reduce", [&] {
    samplex::quick_reduce_kernel<scalar_t><<<grid, block, 0, stream>>>(
        out.data_ptr<scalar_t>(), inp.data_ptr<scalar_t>(), *group,
        inp.numel());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

void qr_destroy(fptr_t fa) {
  auto* group = reinterpret_cast<samplex::QuickReduce*>(fa);
  for (int rank = 0; rank < group->peers.count; ++rank) {
    if (group->buffers[rank] == nullptr) continue;
    C10_CUDA_CHECK(rank == group->peers.rank
                       ? cudaFree(group->buffers[rank])
                       : cudaIpcCloseMemHandle(group->buffers[rank]));
  }
  delete group;
}

int64_t qr_max_size() { return samplex::kQuickReduceBytes; }

#endif  // USE_ROCM
