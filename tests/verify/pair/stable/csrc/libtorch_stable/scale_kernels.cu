#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/shim_utils.h>

namespace {

__global__ void scale_kernel(float* out, const float* input, float factor, int64_t count) {
  const int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (i < count) out[i] = input[i] * factor;
}

}  // namespace

__global__ void clear_kernel(float* out, int64_t count) {
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) out[i] = 1.5f;
}

cudaStream_t current_stream(int32_t device) {
  void* stream = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
  return static_cast<cudaStream_t>(stream);
}

void scale_cuda(torch::stable::Tensor& out, const torch::stable::Tensor& input, double factor) {
  const torch::stable::accelerator::DeviceGuard guard(input.get_device_index());
  const cudaStream_t stream = current_stream(input.get_device_index());
  const int64_t count = input.numel();
  clear_kernel<<<1, 128, 0, stream>>>(out.mutable_data_ptr<float>(), count);
  scale_kernel<<<dim3((count + 255) / 256), 256, 0, stream>>>(
      out.mutable_data_ptr<float>(), input.const_data_ptr<float>(), static_cast<float>(factor), count);
}
