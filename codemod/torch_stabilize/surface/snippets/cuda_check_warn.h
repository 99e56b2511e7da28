#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include <cstdint>
#include <string>

#include <cuda_runtime.h>

// Warns where a call of the CUDA runtime fails, and clears the error.
#define STD_CUDA_CHECK_WARN(call)                                           \
  do {                                                                      \
    const cudaError_t status_of_cuda = (call);                              \
    if (status_of_cuda != cudaSuccess) {                                    \
      static_cast<void>(cudaGetLastError());                                \
      const std::string warning =                                           \
          std::string("CUDA warning: ") + cudaGetErrorString(status_of_cuda); \
      aoti_torch_warn(__func__, __FILE__, static_cast<uint32_t>(__LINE__),  \
                      warning.c_str());                                     \
    }                                                                       \
  } while (0)
