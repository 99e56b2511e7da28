#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/TensorAccessor.h>
#include <torch/headeronly/util/Exception.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

// Pointer to the elements of a tensor whose rank is N.
template <typename T, size_t N>
T* data_of_rank(const torch::stable::Tensor& tensor) {
  STD_TORCH_CHECK(tensor.dim() == static_cast<int64_t>(N),
                  "TensorAccessor expected ", N, " dims but tensor has ",
                  tensor.dim());
  if constexpr (std::is_const_v<T>) {
    return tensor.const_data_ptr<std::remove_const_t<T>>();
  } else {
    return tensor.mutable_data_ptr<T>();
  }
}

// Accessor of the elements of a tensor, which must outlive it.
template <typename T, size_t N>
torch::headeronly::HeaderOnlyTensorAccessor<T, N> accessor_of(
    const torch::stable::Tensor& tensor) {
  return torch::headeronly::HeaderOnlyTensorAccessor<T, N>(
      data_of_rank<T, N>(tensor), tensor.sizes().data(),
      tensor.strides().data());
}

// Accessor that can be passed to a kernel.
template <typename T, size_t N, template <typename U> class PtrTraits,
          typename index_t>
torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<T, N, PtrTraits,
                                                         index_t>
packed_accessor_of(const torch::stable::Tensor& tensor) {
  if constexpr (sizeof(index_t) == sizeof(int32_t)) {
    STD_TORCH_CHECK(tensor.numel() <= std::numeric_limits<int32_t>::max(),
                    "numel needs to be smaller than int32_t max; otherwise, "
                    "please use packed_accessor64");
  }
  return torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<
      T, N, PtrTraits, index_t>(data_of_rank<T, N>(tensor),
                                tensor.sizes().data(),
                                tensor.strides().data());
}
