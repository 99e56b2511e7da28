// Kernels for GPUs of compute capability 10 alone.
#pragma once

#include <ATen/cuda/CUDAContext.h>

// Whether this pass compiles for such a GPU; kernels are empty in all others.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000 && __CUDA_ARCH__ < 1100
  #define SAMPLEX_IS_SM100 1
#else
  #define SAMPLEX_IS_SM100 0
#endif

namespace samplex {

// What the current device cannot run is refused before it is launched.
inline void check_sm100(const char* op) {
  const auto* properties = at::cuda::getCurrentDeviceProperties();
  TORCH_CHECK(properties->major == 10, op,
              " needs a GPU of compute capability 10.x, this one has ",
              properties->major, ".", properties->minor);
}

}  // namespace samplex
