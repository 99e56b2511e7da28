#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/macros.h>
#include <torch/headeronly/util/shim_utils.h>

#include <cstddef>

// Memory of torch's caching allocator on the current device and stream.
inline void* cuda_raw_alloc(size_t nbytes) {
  void* memory = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(
      aoti_torch_cuda_caching_allocator_raw_alloc(nbytes, &memory));
  return memory;
}

inline void cuda_raw_delete(void* memory) {
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_cuda_caching_allocator_raw_delete(memory));
}
