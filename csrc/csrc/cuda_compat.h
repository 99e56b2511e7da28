// What differs between CUDA and ROCm, and between host and device code.
#pragma once

// DEVICE_INLINE is for what CUDA units run on the device and others on the
// host, and which calls what is device code in the former.
#if defined(__CUDACC__) || defined(__HIPCC__)
  #define HOST_DEVICE_INLINE __host__ __device__ __forceinline__
  #define DEVICE_INLINE __device__ __forceinline__
#else
  #define HOST_DEVICE_INLINE inline
  #define DEVICE_INLINE inline
#endif

#ifdef USE_ROCM
  // Wavefronts of CDNA chips have 64 lanes, those of RDNA chips 32.
  #if defined(__GFX9__)
    #define SAMPLEX_WARP_SIZE 64
  #else
    #define SAMPLEX_WARP_SIZE 32
  #endif
  #define SAMPLEX_SHFL_XOR(var, lane_mask) __shfl_xor(var, lane_mask)
  #define SAMPLEX_BALLOT(predicate) __ballot(predicate)
#else
  #define SAMPLEX_WARP_SIZE 32
  #define SAMPLEX_SHFL_XOR(var, lane_mask) \
    __shfl_xor_sync(0xffffffff, var, lane_mask)
  #define SAMPLEX_BALLOT(predicate) __ballot_sync(0xffffffff, predicate)
#endif
