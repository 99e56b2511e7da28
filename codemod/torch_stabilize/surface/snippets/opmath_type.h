#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Float8_e4m3fn.h>
#include <torch/headeronly/util/Float8_e4m3fnuz.h>
#include <torch/headeronly/util/Float8_e5m2.h>
#include <torch/headeronly/util/Float8_e5m2fnuz.h>
#include <torch/headeronly/util/Float8_e8m0fnu.h>
#include <torch/headeronly/util/Half.h>
#include <torch/headeronly/util/complex.h>

// The type to compute in for values of type T: float for the narrow ones.
template <typename T>
struct OpMathType {
  using type = T;
};
template <>
struct OpMathType<torch::headeronly::Half> {
  using type = float;
};
template <>
struct OpMathType<torch::headeronly::BFloat16> {
  using type = float;
};
template <>
struct OpMathType<torch::headeronly::Float8_e5m2> {
  using type = float;
};
template <>
struct OpMathType<torch::headeronly::Float8_e4m3fn> {
  using type = float;
};
template <>
struct OpMathType<torch::headeronly::Float8_e5m2fnuz> {
  using type = float;
};
template <>
struct OpMathType<torch::headeronly::Float8_e4m3fnuz> {
  using type = float;
};
template <>
struct OpMathType<torch::headeronly::Float8_e8m0fnu> {
  using type = float;
};
template <>
struct OpMathType<torch::headeronly::complex<torch::headeronly::Half>> {
  using type = torch::headeronly::complex<float>;
};

template <typename T>
using opmath_type = typename OpMathType<T>::type;
