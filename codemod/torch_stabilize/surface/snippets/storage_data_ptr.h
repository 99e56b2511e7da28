#include <torch/csrc/stable/tensor.h>

// Start of the storage of a tensor.
inline void* storage_data_ptr(const torch::stable::Tensor& tensor) {
  return static_cast<char*>(tensor.data_ptr()) -
         tensor.storage_offset() * tensor.element_size();
}
