#include <cstdint>

// A grid-stride loop over n elements.
#define CUDA_KERNEL_LOOP_TYPE(i, n, index_type)                            \
  int64_t wide_##i = static_cast<int64_t>(blockIdx.x) * blockDim.x +       \
                     threadIdx.x;                                          \
  for (index_type i = wide_##i; wide_##i < (n);                            \
       wide_##i += blockDim.x * gridDim.x, i = wide_##i)

#define CUDA_KERNEL_LOOP(i, n) CUDA_KERNEL_LOOP_TYPE(i, n, int)
