#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/device.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/DeviceType.h>

#include <cstdint>
#include <optional>

// Guard that may be empty: it does nothing for the CPU, and without a device.
class OptionalDeviceGuard {
 public:
  OptionalDeviceGuard() = default;
  explicit OptionalDeviceGuard(
      const std::optional<torch::stable::Device>& device) {
    if (device) {
      set_device(*device);
    }
  }
  explicit OptionalDeviceGuard(int32_t index) { set_index(index); }

  void set_device(const torch::stable::Device& device) {
    using torch::headeronly::DeviceType;
    if (device.type() != DeviceType::CPU && device.type() != DeviceType::Meta &&
        device.has_index()) {
      set_index(device.index());
    }
  }
  void reset_device(const torch::stable::Device& device) {
    guard_.reset();
    set_device(device);
  }
  void set_index(int32_t index) {
    if (index < 0) {
      return;
    }
    if (guard_) {
      guard_->set_index(index);
    } else {
      guard_.emplace(index);
    }
  }
  void reset() { guard_.reset(); }

 private:
  std::optional<torch::stable::accelerator::DeviceGuard> guard_;
};

// The device of a tensor, if there is one.
inline std::optional<torch::stable::Device> device_if_any(
    const torch::stable::Tensor& tensor) {
  if (!tensor.defined()) {
    return std::nullopt;
  }
  return tensor.device();
}
inline std::optional<torch::stable::Device> device_if_any(
    const std::optional<torch::stable::Tensor>& tensor) {
  return tensor ? device_if_any(*tensor) : std::nullopt;
}
