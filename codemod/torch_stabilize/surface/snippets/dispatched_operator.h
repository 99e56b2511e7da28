#include <torch/csrc/stable/c/shim.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/stableivalue_conversions.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/shim_utils.h>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

// The result of an operator, taken from the stack that it was called with.
template <typename T>
struct dispatched_result {
  static constexpr std::size_t count = 1;
  static T take(StableIValue* stack) {
    return torch::stable::detail::to<T>(stack[0]);
  }
};

template <>
struct dispatched_result<void> {
  static constexpr std::size_t count = 0;
  static void take(StableIValue*) {}
};

template <typename... T>
struct dispatched_result<std::tuple<T...>> {
  static constexpr std::size_t count = sizeof...(T);
  static std::tuple<T...> take(StableIValue* stack) {
    return take(stack, std::index_sequence_for<T...>{});
  }
  template <std::size_t... I>
  static std::tuple<T...> take(StableIValue* stack, std::index_sequence<I...>) {
    return std::tuple<T...>{torch::stable::detail::to<T>(stack[I])...};
  }
};

// An operator that is called through the dispatcher, with the types of a
// function: dispatched_operator<decltype(f)>(name, overload).call(...).
template <typename Signature>
class dispatched_operator;

template <typename Result, typename... Arguments>
class dispatched_operator<Result(Arguments...)> {
 public:
  dispatched_operator(std::string name, std::string overload)
      : name_(std::move(name)), overload_(std::move(overload)) {}

  Result call(Arguments... arguments) const {
    constexpr std::size_t results = dispatched_result<Result>::count;
    constexpr std::size_t size =
        results > sizeof...(Arguments) ? results : sizeof...(Arguments);
    std::array<StableIValue, size == 0 ? 1 : size> stack{
        torch::stable::detail::from(widened<Arguments>(arguments))...};
    STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(
        name_.c_str(), overload_.c_str(), stack.data(), TORCH_ABI_VERSION));
    return dispatched_result<Result>::take(stack.data());
  }

 private:
  // Schemas have int64_t and double only.
  template <typename T>
  static auto widened(const std::decay_t<T>& value) {
    using Value = std::decay_t<T>;
    if constexpr (std::is_integral_v<Value> && !std::is_same_v<Value, bool>) {
      return static_cast<int64_t>(value);
    } else if constexpr (std::is_floating_point_v<Value>) {
      return static_cast<double>(value);
    } else {
      return value;
    }
  }

  std::string name_;
  std::string overload_;
};
