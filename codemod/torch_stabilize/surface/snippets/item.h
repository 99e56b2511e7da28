#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/csrc/stable/macros.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>
#include <torch/headeronly/util/complex.h>
#include <torch/headeronly/util/shim_utils.h>

#include <cstdint>
#include <type_traits>

// Value of a one-element tensor.
template <typename T>
T item(const torch::stable::Tensor& tensor) {
  T value{};
  AtenTensorHandle handle = tensor.get();
  if constexpr (std::is_same_v<T, double>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_float64(handle, &value));
  } else if constexpr (std::is_same_v<T, float>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_float32(handle, &value));
  } else if constexpr (std::is_same_v<T, torch::headeronly::Half>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_float16(handle, &value));
  } else if constexpr (std::is_same_v<T, torch::headeronly::BFloat16>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_bfloat16(handle, &value));
  } else if constexpr (std::is_same_v<T, torch::headeronly::complex<float>>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_complex64(handle, &value));
  } else if constexpr (std::is_same_v<T, bool>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_bool(handle, &value));
  } else if constexpr (std::is_same_v<T, uint8_t>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_uint8(handle, &value));
  } else if constexpr (std::is_same_v<T, uint16_t>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_uint16(handle, &value));
  } else if constexpr (std::is_same_v<T, uint32_t>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_uint32(handle, &value));
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_uint64(handle, &value));
  } else if constexpr (std::is_same_v<T, int8_t>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_int8(handle, &value));
  } else if constexpr (std::is_same_v<T, int16_t>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_int16(handle, &value));
  } else if constexpr (std::is_same_v<T, int32_t>) {
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_int32(handle, &value));
  } else {
    static_assert(std::is_integral_v<T> && sizeof(T) == 8 &&
                      std::is_signed_v<T>,
                  "no aoti_torch_item for this type");
    int64_t wide = 0;
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_item_int64(handle, &wide));
    value = static_cast<T>(wide);
  }
  return value;
}
