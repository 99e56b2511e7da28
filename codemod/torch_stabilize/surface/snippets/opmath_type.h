#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Float8_e4m3fn.h>
#include <torch/headeronly/util/Float8_e4m3fnuz.h>
#include <torch/headeronly/util/Float8_e5m2.h>
#include <torch/headeronly/util/Float8_e5m2fnuz.h>
#include <torch/headeronly/util/Float8_e8m0fnu.h>
#include <torch/headeronly/util/Half.h>
#include <torch/headeronly/util/complex.h>

#include <type_traits>

// The type to compute in for values of type T: float for the narrow ones.
template <typename T>
struct OpMathType {
  template <typename... Narrow>
  static constexpr bool is_one_of = (std::is_same_v<T, Narrow> || ...);
  using type = std::conditional_t<
      is_one_of<torch::headeronly::Half, torch::headeronly::BFloat16,
                torch::headeronly::Float8_e5m2,
                torch::headeronly::Float8_e4m3fn,
                torch::headeronly::Float8_e5m2fnuz,
                torch::headeronly::Float8_e4m3fnuz,
                torch::headeronly::Float8_e8m0fnu>,
      float, T>;
};
template <>
struct OpMathType<torch::headeronly::complex<torch::headeronly::Half>> {
  using type = torch::headeronly::complex<float>;
};

template <typename T>
using opmath_type = typename OpMathType<T>::type;
