#include <torch/csrc/stable/c/shim.h>
#include <torch/csrc/stable/macros.h>
#include <torch/headeronly/util/shim_utils.h>

#include <cuda_runtime.h>

// A stream from torch's pool; -1 is the current device.
inline cudaStream_t get_cuda_stream_from_pool(bool is_high_priority = false,
                                              int32_t device_index = -1) {
  void* stream = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(torch_get_cuda_stream_from_pool(
      is_high_priority, device_index, &stream));
  return static_cast<cudaStream_t>(stream);
}
