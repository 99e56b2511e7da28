#include <torch/headeronly/util/Exception.h>

#include <cstdint>

// A dimension counted from the front, where a negative one counts from the
// back.
inline int64_t maybe_wrap_dim(int64_t dim, int64_t rank,
                              bool wrap_scalar = true) {
  STD_TORCH_CHECK(rank > 0 || wrap_scalar, "Dimension specified as ", dim,
                  " but tensor has no dimensions");
  const int64_t limit = rank > 0 ? rank : 1;
  STD_TORCH_CHECK(-limit <= dim && dim < limit,
                  "Dimension out of range (expected to be in range of [",
                  -limit, ", ", limit - 1, "], but got ", dim, ")");
  return dim < 0 ? dim + limit : dim;
}
