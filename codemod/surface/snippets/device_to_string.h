#include <torch/csrc/stable/device.h>
#include <torch/headeronly/core/DeviceType.h>

#include <string>

// A device for a message: "cuda:0".
inline std::string device_type_to_string(torch::headeronly::DeviceType type) {
  using torch::headeronly::DeviceType;
  switch (type) {
    case DeviceType::CPU: return "cpu";
    case DeviceType::CUDA: return "cuda";
    case DeviceType::HIP: return "hip";
    case DeviceType::XLA: return "xla";
    case DeviceType::XPU: return "xpu";
    case DeviceType::MPS: return "mps";
    case DeviceType::HPU: return "hpu";
    case DeviceType::MTIA: return "mtia";
    case DeviceType::Meta: return "meta";
    case DeviceType::PrivateUse1: return "privateuseone";
    default: return "device type " + std::to_string(static_cast<int>(type));
  }
}

inline std::string device_to_string(const torch::stable::Device& device) {
  std::string text = device_type_to_string(device.type());
  return device.has_index() ? text + ":" + std::to_string(device.index())
                            : text;
}
