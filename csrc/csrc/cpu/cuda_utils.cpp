#include "../cuda_utils.h"

#include <c10/util/Exception.h>

// A build with CUDA takes the functions of cuda_utils_kernels.cu instead.
#ifndef SAMPLEX_WITH_CUDA

int64_t get_device_attribute(int64_t /*attribute*/, int64_t /*device_id*/) {
  TORCH_CHECK(false, "get_device_attribute: samplex was built without CUDA");
}

int64_t get_max_shared_memory_per_block_device_attribute(
    int64_t /*device_id*/) {
  TORCH_CHECK(false,
              "get_max_shared_memory_per_block_device_attribute: samplex was "
              "built without CUDA");
}

#endif
