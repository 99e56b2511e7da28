#include <torch/headeronly/util/Exception.h>

// Comparisons that print both values when they fail.
#define STD_TORCH_CHECK_OP(a, op, b)                                        \
  do {                                                                      \
    STD_TORCH_CHECK((a)op(b), "Check failed: " #a " " #op " " #b " (", (a), \
                    " vs. ", (b), ")");                                     \
  } while (0)

#define STD_TORCH_CHECK_EQ(a, b) STD_TORCH_CHECK_OP(a, ==, b)
#define STD_TORCH_CHECK_NE(a, b) STD_TORCH_CHECK_OP(a, !=, b)
#define STD_TORCH_CHECK_LT(a, b) STD_TORCH_CHECK_OP(a, <, b)
#define STD_TORCH_CHECK_LE(a, b) STD_TORCH_CHECK_OP(a, <=, b)
#define STD_TORCH_CHECK_GT(a, b) STD_TORCH_CHECK_OP(a, >, b)
#define STD_TORCH_CHECK_GE(a, b) STD_TORCH_CHECK_OP(a, >=, b)
