#include <torch/headeronly/util/Exception.h>

#include <cublas_v2.h>

// Throws where a call of cuBLAS fails.
#define STD_CUDABLAS_CHECK(call)                                      \
  do {                                                                \
    const auto status_of_cublas = (call);                             \
    STD_TORCH_CHECK(static_cast<int>(status_of_cublas) == 0, #call,   \
                    " failed with cuBLAS status ",                    \
                    static_cast<int>(status_of_cublas));              \
  } while (0)
