#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/macros.h>
#include <torch/headeronly/util/shim_utils.h>

#include <cuda_runtime.h>

// Makes a stream the current one of its device for as long as it lives.
class CudaStreamGuard {
 public:
  CudaStreamGuard(cudaStream_t stream, int32_t device_index) {
    STABLE_TORCH_ERROR_CODE_CHECK(
        aoti_torch_create_cuda_stream_guard(stream, device_index, &guard_));
  }
  CudaStreamGuard(const CudaStreamGuard&) = delete;
  CudaStreamGuard& operator=(const CudaStreamGuard&) = delete;
  ~CudaStreamGuard() { aoti_torch_delete_cuda_stream_guard(guard_); }

 private:
  CUDAStreamGuardHandle guard_ = nullptr;
};
