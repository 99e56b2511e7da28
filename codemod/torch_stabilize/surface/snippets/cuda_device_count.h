#include <cuda_runtime.h>

// How many CUDA devices there are; none where there is no driver.
inline int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    (void)cudaGetLastError();  // or the next check would report it
    return 0;
  }
  return count;
}
