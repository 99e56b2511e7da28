#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/Exceptions.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda.h>
#include <torch/types.h>

#include <cstring>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "custom_all_reduce.h"
#include "device_utils.cuh"
#include "dispatch_utils.h"
#include "launch_utils.h"
#include "ops.h"
#include "rank_barrier.cuh"

namespace samplex {

// Every rank adds in the order of the ranks, so that all get the same bits.
template <typename scalar_t>
__global__ void all_reduce_kernel(scalar_t* __restrict__ out,
                                  const RankBuffers* __restrict__ buffers,
                                  const Peers peers, const int64_t count) {
  constexpr int kLanes = kVectorSize<scalar_t>;
  using vec_t = Vec<scalar_t, kLanes>;
  const int64_t first =
      static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t num_vecs = count / kLanes;

  rank_barrier(peers);
  for (int64_t i = first; i < num_vecs; i += step) {
    float sum[kLanes] = {};
    for (int rank = 0; rank < peers.count; ++rank) {
      const vec_t x = static_cast<const vec_t*>(buffers->of[rank])[i];
#pragma unroll
      for (int j = 0; j < kLanes; ++j) sum[j] += static_cast<float>(x.data[j]);
    }
    vec_t result;
#pragma unroll
    for (int j = 0; j < kLanes; ++j) {
      result.data[j] = static_cast<scalar_t>(sum[j]);
    }
    reinterpret_cast<vec_t*>(out)[i] = result;
  }
  // What does not fill a vector.
  for (int64_t i = num_vecs * kLanes + first; i < count; i += step) {
    float sum = 0.0f;
    for (int rank = 0; rank < peers.count; ++rank) {
      sum += static_cast<float>(
          static_cast<const scalar_t*>(buffers->of[rank])[i]);
    }
    out[i] = static_cast<scalar_t>(sum);
  }
  rank_barrier(peers);  // nobody overwrites what a peer still reads
}

inline bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status;
  C10_CUDA_CHECK(cudaStreamIsCapturing(stream, &status));
  return status == cudaStreamCaptureStatusActive;
}

// The start of the allocation that holds `pointer`: only whole allocations have
// handles. The driver's function is looked up, as the driver is not linked.
inline void* allocation_of(const void* pointer) {
  static const auto get_attribute = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found;
    C10_CUDA_CHECK(cudaGetDriverEntryPointByVersion("cuPointerGetAttribute",
                                                    &function, CUDA_VERSION,
                                                    cudaEnableDefault, &found));
    TORCH_CHECK(function != nullptr, "the driver has no cuPointerGetAttribute");
    return reinterpret_cast<decltype(&cuPointerGetAttribute)>(function);
  }();
  void* start = nullptr;
  const CUresult result =
      get_attribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
                    reinterpret_cast<CUdeviceptr>(pointer));
  TORCH_CHECK(result == CUDA_SUCCESS, "cannot find the allocation of a buffer");
  return start;
}

// The ranks are processes with a GPU each. What kernels read of the buffers
// stands in rank_data, on the device, where graphs find it when they run again.
class CudaAllReduce final : public AllReduce {
 public:
  CudaAllReduce(const Peers& peers, torch::Tensor& rank_data)
      : AllReduce(peers),
        slots_(static_cast<RankBuffers*>(rank_data.data_ptr())),
        num_slots_(rank_data.numel() * rank_data.element_size() /
                   sizeof(RankBuffers)) {}

  ~CudaAllReduce() override {
    // Nobody is left to tell of an error.
    for (const auto& [handle, pointer] : opened_) {
      (void)cudaIpcCloseMemHandle(pointer);
    }
  }

  void register_buffer(const std::vector<int64_t>& addresses) override {
    const RankBuffers buffers = rank_buffers(addresses);
    fill(add_slot(buffers.of[peers_.rank]), buffers);
  }

  std::tuple<std::vector<int64_t>, std::vector<int64_t>>
  get_graph_buffer_ipc_meta() const override {
    std::vector<int64_t> handles;
    std::vector<int64_t> offsets;
    for (const void* buffer : captured_) {
      void* start = allocation_of(buffer);
      cudaIpcMemHandle_t handle;
      C10_CUDA_CHECK(cudaIpcGetMemHandle(&handle, start));
      for (const char byte : handle.reserved) {
        handles.push_back(static_cast<unsigned char>(byte));
      }
      offsets.push_back(static_cast<const char*>(buffer) -
                        static_cast<const char*>(start));
    }
    return {handles, offsets};
  }

  void register_graph_buffers(
      const std::vector<std::vector<int64_t>>& handles,
      const std::vector<std::vector<int64_t>>& offsets) override {
    TORCH_CHECK_EQ(static_cast<int>(handles.size()), peers_.count);
    TORCH_CHECK_EQ(static_cast<int>(offsets.size()), peers_.count);
    for (size_t i = 0; i < captured_.size(); ++i) {
      RankBuffers buffers{};
      for (int rank = 0; rank < peers_.count; ++rank) {
        buffers.of[rank] = rank == peers_.rank ? captured_[i]
                                               : open(handles.at(rank), i) +
                                                     offsets.at(rank).at(i);
      }
      fill(known_.at(captured_[i]), buffers);
    }
    captured_.clear();
  }

  // Where the kernel finds the buffers of all ranks. A buffer that is met while
  // a graph is captured gets a slot that is filled before the graph runs.
  const RankBuffers* slot_of(const void* buffer, cudaStream_t stream) {
    const auto found = known_.find(buffer);
    if (found != known_.end()) return found->second;
    TORCH_CHECK(is_capturing(stream), "the input is not registered");
    captured_.push_back(buffer);
    return add_slot(buffer);
  }

  const Peers& peers() const { return peers_; }

 private:
  RankBuffers* add_slot(const void* buffer) {
    TORCH_CHECK(used_ < num_slots_, "rank_data has no room for more than ",
                num_slots_, " buffers");
    return known_[buffer] = slots_ + used_++;
  }

  static void fill(RankBuffers* slot, const RankBuffers& buffers) {
    C10_CUDA_CHECK(
        cudaMemcpy(slot, &buffers, sizeof(buffers), cudaMemcpyHostToDevice));
  }

  // The allocation behind the handle at `index`. It can be opened only once.
  char* open(const std::vector<int64_t>& bytes, size_t index) {
    cudaIpcMemHandle_t handle;
    constexpr size_t kSize = sizeof(handle.reserved);
    TORCH_CHECK(bytes.size() >= (index + 1) * kSize, "a handle is missing");
    for (size_t i = 0; i < kSize; ++i) {
      handle.reserved[i] = static_cast<char>(bytes[index * kSize + i]);
    }
    void*& pointer = opened_[std::string(handle.reserved, kSize)];
    if (pointer == nullptr) {
      C10_CUDA_CHECK(cudaIpcOpenMemHandle(&pointer, handle,
                                          cudaIpcMemLazyEnablePeerAccess));
    }
    return static_cast<char*>(pointer);
  }

  RankBuffers* slots_;
  int64_t num_slots_;
  int64_t used_ = 0;
  std::unordered_map<const void*, RankBuffers*> known_;
  std::vector<const void*> captured_;
  std::unordered_map<std::string, void*> opened_;
};

}  // namespace samplex

fptr_t init_custom_ar(const std::vector<fptr_t>& ipc_tensors,
                      torch::Tensor& rank_data, int64_t rank,
                      bool fully_connected) {
  samplex::AllReduce* made = new samplex::CudaAllReduce(
      samplex::check_ranks(ipc_tensors, rank, fully_connected), rank_data);
  return reinterpret_cast<fptr_t>(made);
}

// reg_buffer is a registered buffer of this rank that the input is copied to; 0
// stands for an input that is registered itself.
void all_reduce(fptr_t fa, torch::Tensor& inp, torch::Tensor& out,
                fptr_t reg_buffer, int64_t reg_buffer_sz_bytes) {
  auto& all_reduce = samplex::all_reduce_of<samplex::CudaAllReduce>(fa);
  samplex::check_all_reduce(inp, out, reg_buffer, reg_buffer_sz_bytes);
  if (inp.numel() == 0) return;
  const at::cuda::OptionalCUDAGuard device_guard(device_of(inp));
  auto stream = c10::cuda::getCurrentCUDAStream().stream();

  void* input = inp.data_ptr();
  if (reg_buffer != 0) {
    input = reinterpret_cast<void*>(reg_buffer);
    AT_CUDA_CHECK(cudaMemcpyAsync(input, inp.data_ptr(),
                                  inp.numel() * inp.element_size(),
                                  cudaMemcpyDeviceToDevice, stream));
  }
  TORCH_CHECK(samplex::is_vector_aligned(input) &&
                  samplex::is_vector_aligned(out.data_ptr()),
              "inp and out must be aligned to ", samplex::kVectorBytes,
              " bytes");
  const auto* buffers = all_reduce.slot_of(input, stream);

  constexpr int kThreads = 512;
  const int64_t vectors =
      (out.numel() * out.element_size() + samplex::kVectorBytes - 1) /
      samplex::kVectorBytes;
  // The same on every rank, whatever GPU it has.
  const dim3 grid(std::clamp<int64_t>((vectors + kThreads - 1) / kThreads, 1,
                                      samplex::kMaxSignalBlocks));
  SAMPLEX_DISPATCH_FLOATING_TYPES(out.scalar_type(), "all_reduce", [&] {
    samplex::all_reduce_kernel<scalar_t><<<grid, kThreads, 0, stream>>>(
        out.data_ptr<scalar_t>(), buffers, all_reduce.peers(), out.numel());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

// Memory of the current device, all zero, and a handle for other processes.
std::tuple<fptr_t, torch::Tensor> allocate_shared_buffer_and_handle(
    int64_t size) {
  const auto device_index = c10::cuda::current_device();
  const at::DeviceGuard device_guard(
      at::Device(at::DeviceType::CUDA, device_index));
  void* buffer = nullptr;
  // Not from torch's allocator: a handle is good for a whole allocation. Other
  // threads may capture a graph, which an allocation would end.
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  auto stream = c10::cuda::getCurrentCUDAStream().stream();
  AT_CUDA_CHECK(cudaThreadExchangeStreamCaptureMode(&mode));
  AT_CUDA_CHECK(cudaMalloc(&buffer, size));
  AT_CUDA_CHECK(cudaMemsetAsync(buffer, 0, size, stream));
  AT_CUDA_CHECK(cudaStreamSynchronize(stream));
  AT_CUDA_CHECK(cudaThreadExchangeStreamCaptureMode(&mode));

  auto options =
      torch::TensorOptions().dtype(torch::kUInt8).device(torch::kCPU);
  auto handle =
      torch::empty({static_cast<int64_t>(sizeof(cudaIpcMemHandle_t))}, options);
  AT_CUDA_CHECK(cudaIpcGetMemHandle(
      static_cast<cudaIpcMemHandle_t*>(handle.data_ptr()), buffer));
  return std::make_tuple(reinterpret_cast<fptr_t>(buffer), handle);
}

fptr_t open_mem_handle(torch::Tensor& mem_handle) {
  cudaIpcMemHandle_t handle;
  CHECK_DTYPE(mem_handle, at::ScalarType::Byte);
  TORCH_CHECK_EQ(mem_handle.numel(), static_cast<int64_t>(sizeof(handle)));
  std::memcpy(&handle, mem_handle.contiguous().data_ptr(), sizeof(handle));
  void* pointer = nullptr;
  AT_CUDA_CHECK(
      cudaIpcOpenMemHandle(&pointer, handle, cudaIpcMemLazyEnablePeerAccess));
  return reinterpret_cast<fptr_t>(pointer);
}

void free_shared_buffer(fptr_t buffer) {
  AT_CUDA_CHECK(cudaFree(reinterpret_cast<void*>(buffer)));
}
