#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/c/shim.h>
#include <torch/csrc/stable/macros.h>
#include <torch/headeronly/util/shim_utils.h>

#include <cuda_runtime.h>

// Makes a stream the current one of a device; -1 is the current device.
inline void set_current_cuda_stream(cudaStream_t stream,
                                    int32_t device_index = -1) {
  const int32_t index =
      device_index >= 0
          ? device_index
          : torch::stable::accelerator::getCurrentDeviceIndex();
  STABLE_TORCH_ERROR_CODE_CHECK(torch_set_current_cuda_stream(stream, index));
}
