#include <cuda_runtime.h>

// Number of CUDA devices; 0 without a driver.
inline int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    (void)cudaGetLastError();  // or the next check would report it
    return 0;
  }
  return count;
}
