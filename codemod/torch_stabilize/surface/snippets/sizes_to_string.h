#include <torch/headeronly/util/HeaderOnlyArrayRef.h>

#include <string>

// Sizes or strides for a message: "[2, 3]".
inline std::string sizes_to_string(
    torch::headeronly::IntHeaderOnlyArrayRef sizes) {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(sizes[i]);
  }
  return text + "]";
}
