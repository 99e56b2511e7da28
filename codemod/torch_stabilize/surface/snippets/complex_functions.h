#include <torch/headeronly/macros/Macros.h>
#include <torch/headeronly/util/complex.h>

#include <cmath>

// What <complex> has for std::complex, for the complex numbers of torch.
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
}  // namespace std
