#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/csrc/stable/macros.h>
#include <torch/headeronly/util/shim_utils.h>

#include <cstddef>
#include <cstdint>

// Size of the storage of a tensor, in bytes.
inline size_t storage_nbytes(const torch::stable::Tensor& tensor) {
  int64_t nbytes = 0;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_storage_size(tensor.get(), &nbytes));
  return static_cast<size_t>(nbytes);
}
