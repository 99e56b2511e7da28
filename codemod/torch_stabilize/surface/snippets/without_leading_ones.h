#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <vector>

// A view of a tensor without the dimensions of size 1 it begins with. index_put_ stores any number of them.
inline torch::stable::Tensor without_leading_ones(const torch::stable::Tensor& tensor) {
  std::vector<int64_t> sizes;
  for (int64_t size : tensor.sizes()) {
    if (size != 1 || !sizes.empty()) {
      sizes.push_back(size);
    }
  }
  if (static_cast<int64_t>(sizes.size()) == tensor.dim()) {
    return tensor;
  }
  return torch::stable::view(tensor, sizes);
}
