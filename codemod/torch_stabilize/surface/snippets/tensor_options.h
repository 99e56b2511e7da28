#include <torch/csrc/stable/device.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Layout.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <optional>

// Dtype, layout and device of a tensor to be created.
class TensorOptions {
 public:
  using ScalarType = torch::headeronly::ScalarType;
  using Layout = torch::headeronly::Layout;
  using Device = torch::stable::Device;

  TensorOptions() = default;
  TensorOptions(ScalarType dtype) : dtype_(dtype) {}
  TensorOptions(Device device) : device_(device) {}

  TensorOptions dtype(std::optional<ScalarType> value) const {
    return with(&TensorOptions::dtype_, value);
  }
  TensorOptions layout(std::optional<Layout> value) const {
    return with(&TensorOptions::layout_, value);
  }
  TensorOptions device(std::optional<Device> value) const {
    return with(&TensorOptions::device_, value);
  }
  TensorOptions device(torch::headeronly::DeviceType type,
                       int32_t index = -1) const {
    return device(Device(type, index));
  }
  TensorOptions device_index(int32_t index) const {
    return device(torch::headeronly::DeviceType::CUDA, index);
  }
  TensorOptions pinned_memory(std::optional<bool> value) const {
    return with(&TensorOptions::pinned_memory_, value);
  }

  template <typename T>
  TensorOptions dtype() const {
    return dtype(torch::headeronly::CppTypeToScalarType<T>::value);
  }

  // The options that are set, and torch's defaults for the others.
  ScalarType dtype() const { return dtype_.value_or(ScalarType::Float); }
  Layout layout() const { return layout_.value_or(Layout::Strided); }
  Device device() const {
    return device_.value_or(Device(torch::headeronly::DeviceType::CPU));
  }
  bool pinned_memory() const { return pinned_memory_.value_or(false); }

  std::optional<ScalarType> dtype_opt() const { return dtype_; }
  std::optional<Layout> layout_opt() const { return layout_; }
  std::optional<Device> device_opt() const { return device_; }
  std::optional<bool> pinned_memory_opt() const { return pinned_memory_; }
  bool has_dtype() const { return dtype_.has_value(); }
  bool has_layout() const { return layout_.has_value(); }
  bool has_device() const { return device_.has_value(); }

 private:
  template <typename M, typename T>
  TensorOptions with(M member, const T& value) const {
    TensorOptions changed = *this;
    changed.*member = value;
    return changed;
  }

  std::optional<ScalarType> dtype_;
  std::optional<Layout> layout_;
  std::optional<Device> device_;
  std::optional<bool> pinned_memory_;
};

inline TensorOptions options_of(const torch::stable::Tensor& tensor) {
  return TensorOptions().dtype(tensor.scalar_type()).device(tensor.device());
}
