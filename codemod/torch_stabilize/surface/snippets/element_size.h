#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cstddef>

// The size of one element of a dtype, in bytes.
inline size_t element_size(torch::headeronly::ScalarType dtype) {
#define ELEMENT_SIZE_CASE(type, name)          \
  case torch::headeronly::ScalarType::name: \
    return sizeof(type);
  switch (dtype) {
    AT_FORALL_SCALAR_TYPES_WITH_COMPLEX_AND_QINTS(ELEMENT_SIZE_CASE)
    default:
      STD_TORCH_CHECK(false, "no element size for dtype ", dtype);
  }
#undef ELEMENT_SIZE_CASE
  return 0;
}
