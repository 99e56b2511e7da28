#include <c10/cuda/CUDAException.h>

#include "cuda_utils.h"

int64_t get_device_attribute(int64_t attribute, int64_t device_id) {
  int device = static_cast<int>(device_id);
  if (device < 0) C10_CUDA_CHECK(cudaGetDevice(&device));
  int value = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(
      &value, static_cast<cudaDeviceAttr>(attribute), device));
  return value;
}

int64_t get_max_shared_memory_per_block_device_attribute(int64_t device_id) {
#ifdef USE_ROCM
  // There is no opting in: a block can always have all of it.
  constexpr auto kAttribute = hipDeviceAttributeMaxSharedMemoryPerBlock;
#else
  constexpr auto kAttribute = cudaDevAttrMaxSharedMemoryPerBlockOptin;
#endif
  return get_device_attribute(static_cast<int64_t>(kAttribute), device_id);
}
