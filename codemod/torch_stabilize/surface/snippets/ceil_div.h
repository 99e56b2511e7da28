#include <torch/headeronly/macros/Macros.h>

#include <type_traits>

// a / b, rounded up.
template <typename A, typename B>
C10_HOST_DEVICE constexpr std::common_type_t<A, B> ceil_div(A a, B b) {
  return (a + b - 1) / b;
}

// The smallest multiple of b that is not below a.
template <typename A, typename B>
C10_HOST_DEVICE constexpr std::common_type_t<A, B> round_up(A a, B b) {
  return ceil_div(a, b) * b;
}
