#include <torch/csrc/stable/device.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Layout.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <optional>

// What a new tensor shall be like, where it is handed from function to function.
class __attribute__((visibility("hidden"))) TensorOptions {
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

  std::optional<ScalarType> dtype() const { return dtype_; }
  std::optional<Layout> layout() const { return layout_; }
  std::optional<Device> device() const { return device_; }
  std::optional<bool> pinned_memory() const { return pinned_memory_; }

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
