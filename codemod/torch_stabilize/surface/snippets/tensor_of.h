#include <torch/csrc/stable/device.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <optional>
#include <vector>

// 1-D tensor of these values, by default with their dtype and on the CPU.
template <typename T>
torch::stable::Tensor tensor_of(
    const std::vector<T>& values,
    std::optional<torch::headeronly::ScalarType> dtype = std::nullopt,
    std::optional<torch::headeronly::Layout> layout = std::nullopt,
    std::optional<torch::stable::Device> device = std::nullopt) {
  const torch::stable::Tensor borrowed = torch::stable::from_blob(
      const_cast<T*>(values.data()), {static_cast<int64_t>(values.size())}, {1},
      torch::stable::Device(torch::headeronly::DeviceType::CPU),
      torch::headeronly::CppTypeToScalarType<T>::value);
  const torch::stable::Tensor own = torch::stable::clone(borrowed);
  return dtype || device ? torch::stable::to(own, dtype, layout, device) : own;
}
