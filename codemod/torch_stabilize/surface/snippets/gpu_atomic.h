#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__CUDACC__) || defined(__HIPCC__)
// Atomically replaces the value at `address` by `combine` of it, and returns
// the old value. Narrow types use the word around them.
template <typename T, typename F>
__device__ T gpu_atomic_update(T* address, F combine) {
  using Word = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned>;
  const size_t shift = reinterpret_cast<size_t>(address) % sizeof(Word);
  Word* word = reinterpret_cast<Word*>(reinterpret_cast<char*>(address) - shift);
  Word seen = *word;
  while (true) {
    T before;
    memcpy(&before, reinterpret_cast<char*>(&seen) + shift, sizeof(T));
    const T after = combine(before);
    Word wanted = seen;
    memcpy(reinterpret_cast<char*>(&wanted) + shift, &after, sizeof(T));
    const Word found = atomicCAS(word, seen, wanted);
    if (found == seen) {
      return before;
    }
    seen = found;
  }
}

template <typename T>
constexpr bool has_native_atomic_add =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned> ||
    std::is_same_v<T, unsigned long long> || std::is_same_v<T, float> ||
    std::is_same_v<T, double>;

template <typename T>
__device__ T gpuAtomicAdd(T* address, T value) {
  if constexpr (has_native_atomic_add<T>) {
    return atomicAdd(address, value);
  } else if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
    return static_cast<T>(
        atomicAdd(reinterpret_cast<unsigned long long*>(address),
                  static_cast<unsigned long long>(value)));
  } else if constexpr (std::is_same_v<T, bool>) {
    return gpu_atomic_update(address, [=](T x) { return x || value; });
  } else {
    return gpu_atomic_update(address,
                             [=](T x) { return static_cast<T>(x + value); });
  }
}

template <typename T>
__device__ void gpuAtomicAddNoReturn(T* address, T value) {
  gpuAtomicAdd(address, value);
}

template <typename T>
__device__ T gpuAtomicMul(T* address, T value) {
  return gpu_atomic_update(address,
                           [=](T x) { return static_cast<T>(x * value); });
}

// NaN propagates, as in torch.
template <typename T>
__device__ T gpuAtomicMax(T* address, T value) {
  using Wide = std::conditional_t<std::is_arithmetic_v<T>, T, float>;
  const Wide wide = value;
  return gpu_atomic_update(address, [=](T x) {
    const Wide seen = x;
    return seen != seen || seen > wide ? x : value;
  });
}

template <typename T>
__device__ T gpuAtomicMin(T* address, T value) {
  using Wide = std::conditional_t<std::is_arithmetic_v<T>, T, float>;
  const Wide wide = value;
  return gpu_atomic_update(address, [=](T x) {
    const Wide seen = x;
    return seen != seen || seen < wide ? x : value;
  });
}

template <typename T, typename I>
__device__ void fastAtomicAdd(T* tensor, I index, I, T value, bool) {
  gpuAtomicAdd(tensor + index, value);
}

// For the types that CUDA itself has no atomicAdd of.
template <typename T>
__device__ std::enable_if_t<
    std::is_same_v<T, torch::headeronly::Half> ||
        std::is_same_v<T, torch::headeronly::BFloat16> ||
        (std::is_integral_v<T> && !has_native_atomic_add<T>),
    T>
atomicAdd(T* address, T value) {
  return gpuAtomicAdd(address, value);
}
#endif
