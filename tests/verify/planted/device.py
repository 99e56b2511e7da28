"""A CUDA unit before and after, and defects in its kernels, launches, macros, streams and device guards."""

from __future__ import annotations

from torch_stabilize.verify import codes

_BODY = """\
namespace {

__global__ void add_kernel(float* out, const float* in, float by, int64_t count) {
  const int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (i < count) out[i] = in[i] + by;
}

template <int WIDTH>
__global__ void sum_kernel(float* out, const float* in, int64_t count) {
  __shared__ float parts[WIDTH];
  float sum = 0.0f;
  for (int64_t i = threadIdx.x; i < count; i += WIDTH) sum += in[i];
  parts[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = parts[0];
}

__global__ void clear_kernel(float* out, int64_t count) {
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) out[i] = 0.0f;
  __syncthreads();
  if (threadIdx.x == 0 && count > 0) out[0] = 1.0f;
}

}  // namespace

#define LAUNCH_ROWS(KERNEL, GRID, STREAM, ...) KERNEL<<<GRID, 256, 0, STREAM>>>(__VA_ARGS__)
#define LAUNCH_SUM(WIDTH, GRID, STREAM, ...) LAUNCH_ROWS(sum_kernel<WIDTH>, GRID, STREAM, __VA_ARGS__)
"""
LEGACY = (
    """\
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

"""
    + _BODY
    + """
void add_cuda(at::Tensor& out, const at::Tensor& in, double by) {
  const c10::cuda::CUDAGuard guard(in.device());
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  const int64_t count = in.numel();
  add_kernel<<<dim3((count + 255) / 256), 256, 0, stream>>>(
      out.mutable_data_ptr<float>(), in.const_data_ptr<float>(), static_cast<float>(by), count);
}

void sum_cuda(at::Tensor& out, const at::Tensor& in) {
  const c10::cuda::CUDAGuard guard(in.device());
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  LAUNCH_SUM(256, in.size(0), stream, out.mutable_data_ptr<float>(), in.const_data_ptr<float>(), in.numel());
  LAUNCH_ROWS(clear_kernel, 7, stream, out.mutable_data_ptr<float>(), out.numel());
}

void clear_cuda(at::Tensor& out) {
  const c10::cuda::CUDAGuard guard(out.device());
  clear_kernel<<<1, 128, 1024, c10::cuda::getCurrentCUDAStream()>>>(out.mutable_data_ptr<float>(), out.numel());
}
"""
)
STABLE = (
    """\
#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/shim_utils.h>

"""
    + _BODY
    + """
inline cudaStream_t get_current_cuda_stream(int32_t device) {
  void* stream = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
  return static_cast<cudaStream_t>(stream);
}

void add_cuda(torch::stable::Tensor& out, const torch::stable::Tensor& in, double by) {
  const torch::stable::accelerator::DeviceGuard guard(in.get_device_index());
  const cudaStream_t stream = get_current_cuda_stream(in.get_device_index());
  const int64_t count = in.numel();
  add_kernel<<<dim3((count + 255) / 256), 256, 0, stream>>>(
      out.mutable_data_ptr<float>(), in.const_data_ptr<float>(), static_cast<float>(by), count);
}

void sum_cuda(torch::stable::Tensor& out, const torch::stable::Tensor& in) {
  const torch::stable::accelerator::DeviceGuard guard(in.get_device_index());
  const cudaStream_t stream = get_current_cuda_stream(in.get_device_index());
  LAUNCH_SUM(256, in.size(0), stream, out.mutable_data_ptr<float>(), in.const_data_ptr<float>(), in.numel());
  LAUNCH_ROWS(clear_kernel, 7, stream, out.mutable_data_ptr<float>(), out.numel());
}

void clear_cuda(torch::stable::Tensor& out) {
  const torch::stable::accelerator::DeviceGuard guard(out.get_device_index());
  clear_kernel<<<1, 128, 1024, get_current_cuda_stream(out.get_device_index())>>>(out.mutable_data_ptr<float>(), out.numel());
}
"""
)

_POOL = """
void pool_cuda(at::Tensor& out, const at::Tensor& in) {
  const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool(false, in.get_device());
  const c10::cuda::CUDAStreamGuard guard(stream);
  clear_kernel<<<2, 32, 0, stream>>>(out.mutable_data_ptr<float>(), out.numel());
}
"""
_POOL_STABLE = """
void pool_cuda(torch::stable::Tensor& out, const torch::stable::Tensor& in) {
  const cudaStream_t stream = get_cuda_stream_from_pool(false, in.get_device_index());
  const CudaStreamGuard guard(stream, in.get_device_index());
  clear_kernel<<<2, 32, 0, stream>>>(out.mutable_data_ptr<float>(), out.numel());
}
"""
# A unit of its own: the launches are read from the source, and nothing has to compile.
POOL = (_POOL, _POOL_STABLE)

# defect -> what stands in STABLE, what is planted, the code that catches it, words of the message
DEVICE: dict[str, tuple[str, str, str, str]] = {
    "a kernel that computes something else": (
        "out[i] = in[i] + by;",
        "out[i] = in[i] - by;",
        codes.DEVICE_CODE_DIFFERS,
        "add_kernel",
    ),
    "a kernel without its barrier": ("__syncthreads();", "", codes.DEVICE_CODE_DIFFERS, "clear_kernel"),
    "a kernel that is made no more": (
        "LAUNCH_SUM(256, in.size(0)",
        "LAUNCH_SUM(128, in.size(0)",
        codes.KERNEL_LOST,
        "sum_kernel<256>",
    ),
    "a stream dropped in a launch": (
        "256), 256, 0, stream>>>",
        "256), 256>>>",
        codes.STREAM_DROPPED,
        "add_kernel: runs on the default stream instead of the current stream",
    ),
    "a stream dropped in the argument of a launch macro": (
        "LAUNCH_ROWS(clear_kernel, 7, stream,",
        "LAUNCH_ROWS(clear_kernel, 7, 0,",
        codes.STREAM_DROPPED,
        "clear_kernel: runs on the default stream instead of the current stream",
    ),
    "a stream dropped in a macro of a macro": (
        "LAUNCH_SUM(256, in.size(0), stream,",
        "LAUNCH_SUM(256, in.size(0), nullptr,",
        codes.STREAM_DROPPED,
        "sum_kernel<256>: runs on the default stream instead of the current stream",
    ),
    "another grid in the argument of a launch macro": (
        "LAUNCH_ROWS(clear_kernel, 7,",
        "LAUNCH_ROWS(clear_kernel, 8,",
        codes.LAUNCH_DIFFERS,
        "clear_kernel: grid is '8' instead of '7'",
    ),
    "another block": (
        "<<<1, 128, 1024,",
        "<<<1, 64, 1024,",
        codes.LAUNCH_DIFFERS,
        "clear_kernel: block is '64' instead of '128'",
    ),
    "another grid": (
        "dim3((count + 255) / 256)",
        "dim3(count / 256)",
        codes.LAUNCH_DIFFERS,
        "add_kernel: grid is 'dim3(count/256)'",
    ),
    "less shared memory": (
        "<<<1, 128, 1024,",
        "<<<1, 128, 512,",
        codes.LAUNCH_DIFFERS,
        "clear_kernel: shared memory is '512' instead of '1024'",
    ),
    "a launch that is gone": (
        "  LAUNCH_ROWS(clear_kernel, 7, stream, out.mutable_data_ptr<float>(), out.numel());\n",
        "",
        codes.LAUNCH_DIFFERS,
        "the launch of clear_kernel is gone",
    ),
    "a guard that is gone": (
        "  const torch::stable::accelerator::DeviceGuard guard(out.get_device_index());\n",
        "",
        codes.GUARD_DIFFERS,
        "the guard of the device of 'out' is gone",
    ),
    "the guard of another tensor's device": (
        "void sum_cuda(torch::stable::Tensor& out, const torch::stable::Tensor& in) {\n"
        "  const torch::stable::accelerator::DeviceGuard guard(in.get_device_index());",
        "void sum_cuda(torch::stable::Tensor& out, const torch::stable::Tensor& in) {\n"
        "  const torch::stable::accelerator::DeviceGuard guard(out.get_device_index());",
        codes.GUARD_DIFFERS,
        "the guard of the device of 'in' is gone",
    ),
}

STREAMS: dict[str, tuple[str, str, str, str]] = {
    "the stream guard of another device": (
        "guard(stream, in.get_device_index())",
        "guard(stream, out.get_device_index())",
        codes.GUARD_DIFFERS,
        "the stream guard makes the device of 'out' current instead of the device of 'in'",
    ),
    "a stream guard that is gone": (
        "  const CudaStreamGuard guard(stream, in.get_device_index());\n",
        "",
        codes.GUARD_DIFFERS,
        "a stream guard is gone",
    ),
    "a stream of another pool": (
        "get_cuda_stream_from_pool(false, in",
        "get_cuda_stream_from_pool(true, in",
        codes.LAUNCH_DIFFERS,
        "clear_kernel: runs on a stream of the pool (true, in) instead of a stream of the pool (false, in)",
    ),
    "the current stream instead of one of the pool": (
        "get_cuda_stream_from_pool(false, in.get_device_index())",
        "get_current_cuda_stream(in.get_device_index())",
        codes.LAUNCH_DIFFERS,
        "clear_kernel: runs on the current stream instead of a stream of the pool",
    ),
}
