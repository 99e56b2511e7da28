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
  template <typename... Narrow>
  static constexpr bool is_one_of = (std::is_same_v<T, Narrow> || ...);
  static constexpr bool is_float =
      (is_gpu && !std::is_same_v<T, double>) ||
      is_one_of<torch::headeronly::BFloat16, torch::headeronly::Half,
                torch::headeronly::Float8_e4m3fn,
                torch::headeronly::Float8_e4m3fnuz,
                torch::headeronly::Float8_e5m2,
                torch::headeronly::Float8_e5m2fnuz>;
  using type = std::conditional_t<
      std::is_same_v<T, bool>, bool,
      std::conditional_t<std::is_integral_v<T>, int64_t,
                         std::conditional_t<is_float, float, double>>>;
};
template <typename T, bool is_gpu>
struct AccType<torch::headeronly::complex<T>, is_gpu> {
  using type = torch::headeronly::complex<typename AccType<T, is_gpu>::type>;
};

template <typename T, bool is_gpu>
using acc_type = typename AccType<T, is_gpu>::type;
