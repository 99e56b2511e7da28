#if defined(__CUDACC__) || defined(__HIPCC__)
// Exchanges between the threads of a warp. HIP takes no mask.
#ifdef USE_ROCM
  #define WARP_SHUFFLE_(function, mask, ...) function(__VA_ARGS__)
#else
  #define WARP_SHUFFLE_(function, mask, ...) function##_sync(mask, __VA_ARGS__)
#endif

template <typename T>
__device__ __forceinline__ T WARP_SHFL(T value, int source,
                                       int width = warpSize,
                                       unsigned int mask = 0xffffffff) {
  return WARP_SHUFFLE_(__shfl, mask, value, source, width);
}

template <typename T>
__device__ __forceinline__ T WARP_SHFL_XOR(T value, int lanes,
                                           int width = warpSize,
                                           unsigned int mask = 0xffffffff) {
  return WARP_SHUFFLE_(__shfl_xor, mask, value, lanes, width);
}

template <typename T>
__device__ __forceinline__ T WARP_SHFL_UP(T value, unsigned int delta,
                                          int width = warpSize,
                                          unsigned int mask = 0xffffffff) {
  return WARP_SHUFFLE_(__shfl_up, mask, value, delta, width);
}

template <typename T>
__device__ __forceinline__ T WARP_SHFL_DOWN(T value, unsigned int delta,
                                            int width = warpSize,
                                            unsigned int mask = 0xffffffff) {
  return WARP_SHUFFLE_(__shfl_down, mask, value, delta, width);
}
#undef WARP_SHUFFLE_

#ifdef USE_ROCM
__device__ __forceinline__ unsigned long long WARP_BALLOT(int predicate) {
  return __ballot(predicate);
}
#else
__device__ __forceinline__ unsigned int WARP_BALLOT(
    int predicate, unsigned int mask = 0xffffffff) {
  return __ballot_sync(mask, predicate);
}

__device__ __forceinline__ void WARP_SYNC(unsigned mask = 0xffffffff) {
  __syncwarp(mask);
}
#endif
#endif
