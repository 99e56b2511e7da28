#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Float8_e4m3fn.h>
#include <torch/headeronly/util/Float8_e4m3fnuz.h>
#include <torch/headeronly/util/Float8_e5m2.h>
#include <torch/headeronly/util/Float8_e5m2fnuz.h>
#include <torch/headeronly/util/Half.h>
#include <torch/headeronly/util/complex.h>

#include <cstdint>
#include <type_traits>

// The type to add up values of type T in: wider on the CPU than on a GPU.
template <typename T, bool is_gpu>
struct AccType {
  using type = std::conditional_t<
      std::is_same_v<T, bool>, bool,
      std::conditional_t<
          std::is_integral_v<T>, int64_t,
          std::conditional_t<is_gpu && !std::is_same_v<T, double>, float,
                             double>>>;
};
template <bool is_gpu>
struct AccType<torch::headeronly::BFloat16, is_gpu> {
  using type = float;
};
template <bool is_gpu>
struct AccType<torch::headeronly::Half, is_gpu> {
  using type = float;
};
template <bool is_gpu>
struct AccType<torch::headeronly::Float8_e4m3fn, is_gpu> {
  using type = float;
};
template <bool is_gpu>
struct AccType<torch::headeronly::Float8_e4m3fnuz, is_gpu> {
  using type = float;
};
template <bool is_gpu>
struct AccType<torch::headeronly::Float8_e5m2, is_gpu> {
  using type = float;
};
template <bool is_gpu>
struct AccType<torch::headeronly::Float8_e5m2fnuz, is_gpu> {
  using type = float;
};
template <typename T, bool is_gpu>
struct AccType<torch::headeronly::complex<T>, is_gpu> {
  using type = torch::headeronly::complex<typename AccType<T, is_gpu>::type>;
};

template <typename T, bool is_gpu>
using acc_type = typename AccType<T, is_gpu>::type;
