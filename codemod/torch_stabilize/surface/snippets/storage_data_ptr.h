#include <torch/csrc/stable/tensor.h>

// Where the storage a tensor lies in begins.
inline void* storage_data_ptr(const torch::stable::Tensor& tensor) {
  return static_cast<char*>(tensor.data_ptr()) -
         tensor.storage_offset() * tensor.element_size();
}
