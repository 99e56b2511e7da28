#include <torch/headeronly/macros/Macros.h>
#include <torch/headeronly/util/complex.h>

#include <cmath>
#include <complex>

// The functions of <complex> for torch's complex types.
namespace std {
template <typename T>
C10_HOST_DEVICE constexpr T real(const torch::headeronly::complex<T>& z) {
  return z.real();
}

template <typename T>
C10_HOST_DEVICE constexpr T imag(const torch::headeronly::complex<T>& z) {
  return z.imag();
}

template <typename T>
C10_HOST_DEVICE constexpr T norm(const torch::headeronly::complex<T>& z) {
  return z.real() * z.real() + z.imag() * z.imag();
}

template <typename T>
C10_HOST_DEVICE constexpr torch::headeronly::complex<T> conj(
    const torch::headeronly::complex<T>& z) {
  return torch::headeronly::complex<T>(z.real(), -z.imag());
}

template <typename T>
C10_HOST_DEVICE T abs(const torch::headeronly::complex<T>& z) {
  return ::hypot(z.real(), z.imag());
}

template <typename T>
C10_HOST_DEVICE T arg(const torch::headeronly::complex<T>& z) {
  return ::atan2(z.imag(), z.real());
}

#if defined(__CUDACC__) || defined(__HIPCC__)
#define FUNCTION_OF_COMPLEX(name)                                        \
  template <typename T>                                                  \
  C10_HOST_DEVICE inline torch::headeronly::complex<T> name(             \
      const torch::headeronly::complex<T>& z) {                          \
    return static_cast<torch::headeronly::complex<T>>(                   \
        thrust::name(static_cast<thrust::complex<T>>(z)));               \
  }
#else
#define FUNCTION_OF_COMPLEX(name)                                        \
  template <typename T>                                                  \
  inline torch::headeronly::complex<T> name(                             \
      const torch::headeronly::complex<T>& z) {                          \
    return static_cast<torch::headeronly::complex<T>>(                   \
        std::name(static_cast<std::complex<T>>(z)));                     \
  }
#endif
FUNCTION_OF_COMPLEX(exp)
FUNCTION_OF_COMPLEX(log)
FUNCTION_OF_COMPLEX(log10)
FUNCTION_OF_COMPLEX(sqrt)
FUNCTION_OF_COMPLEX(sin)
FUNCTION_OF_COMPLEX(cos)
FUNCTION_OF_COMPLEX(tan)
FUNCTION_OF_COMPLEX(asin)
FUNCTION_OF_COMPLEX(acos)
FUNCTION_OF_COMPLEX(atan)
FUNCTION_OF_COMPLEX(sinh)
FUNCTION_OF_COMPLEX(cosh)
FUNCTION_OF_COMPLEX(tanh)
FUNCTION_OF_COMPLEX(asinh)
FUNCTION_OF_COMPLEX(acosh)
FUNCTION_OF_COMPLEX(atanh)
#undef FUNCTION_OF_COMPLEX

template <typename T>
C10_HOST_DEVICE inline torch::headeronly::complex<T> pow(
    const torch::headeronly::complex<T>& x,
    const torch::headeronly::complex<T>& y) {
#if defined(__CUDACC__) || defined(__HIPCC__)
  return static_cast<torch::headeronly::complex<T>>(
      thrust::pow(static_cast<thrust::complex<T>>(x),
                  static_cast<thrust::complex<T>>(y)));
#else
  return static_cast<torch::headeronly::complex<T>>(std::pow(
      static_cast<std::complex<T>>(x), static_cast<std::complex<T>>(y)));
#endif
}

template <typename T>
C10_HOST_DEVICE inline torch::headeronly::complex<T> pow(
    const torch::headeronly::complex<T>& x,
    const T& y) {
#if defined(__CUDACC__) || defined(__HIPCC__)
  return static_cast<torch::headeronly::complex<T>>(
      thrust::pow(static_cast<thrust::complex<T>>(x), y));
#else
  return static_cast<torch::headeronly::complex<T>>(
      std::pow(static_cast<std::complex<T>>(x), y));
#endif
}

template <typename T>
C10_HOST_DEVICE inline torch::headeronly::complex<T> pow(
    const T& x,
    const torch::headeronly::complex<T>& y) {
#if defined(__CUDACC__) || defined(__HIPCC__)
  return static_cast<torch::headeronly::complex<T>>(
      thrust::pow(x, static_cast<thrust::complex<T>>(y)));
#else
  return static_cast<torch::headeronly::complex<T>>(
      std::pow(x, static_cast<std::complex<T>>(y)));
#endif
}
}  // namespace std
