#include <torch/csrc/stable/device.h>
#include <torch/headeronly/core/DeviceType.h>

#include <cctype>
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

// What c10::DeviceTypeName says: "CUDA", or "cuda".
inline std::string device_type_name(torch::headeronly::DeviceType type,
                                    bool lower_case = false) {
  std::string name = device_type_to_string(type);
  for (char& letter : name) {
    letter = lower_case ? letter : static_cast<char>(std::toupper(letter));
  }
  return name;
}
