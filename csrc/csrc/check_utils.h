// Checks of arguments that several groups share, for host code only.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>

// Macros rather than functions, so that messages name the argument as the
// caller wrote it.
#define CHECK_SAME_DTYPE(a, b)                                 \
  TORCH_CHECK((a).scalar_type() == (b).scalar_type(),          \
              #a " and " #b " must have the same dtype, got ", \
              (a).scalar_type(), " and ", (b).scalar_type())

#define CHECK_DTYPE(x, dtype)                                           \
  TORCH_CHECK((x).scalar_type() == (dtype), #x " must have the dtype ", \
              (dtype), ", got ", (x).scalar_type())

#define CHECK_DIM(x, count)                                    \
  TORCH_CHECK((x).dim() == (count), #x " must have ", (count), \
              " dimensions, got ", (x).dim())

#define CHECK_SHAPE(x, ...)                                     \
  TORCH_CHECK((x).sizes() == torch::IntArrayRef({__VA_ARGS__}), \
              #x " must have the shape (" #__VA_ARGS__ ")")

#define CHECK_CONTIGUOUS(x) \
  TORCH_CHECK((x).is_contiguous(), #x " must be contiguous")

namespace samplex {

// Rows of a matrix with `numel` elements in rows of `width`; none if empty.
inline int64_t row_count(int64_t numel, int64_t width) {
  TORCH_CHECK(width >= 0, "the width of a row must not be negative, got ",
              width);
  return width == 0 ? 0 : numel / width;
}

// Numbers that are read one after the other; `name` is the caller's for them.
inline void check_list(const torch::Tensor& numbers, at::ScalarType dtype,
                       const char* name) {
  TORCH_CHECK(numbers.scalar_type() == dtype, name, " must have the dtype ",
              dtype, ", got ", numbers.scalar_type());
  TORCH_CHECK(numbers.is_contiguous(), name, " must be contiguous");
}

// The elements of a tensor that may be missing; null if it is.
template <typename T>
T* optional_data(const std::optional<torch::Tensor>& tensor) {
  return tensor.has_value() ? tensor->data_ptr<T>() : nullptr;
}

}  // namespace samplex
