#include <torch/headeronly/util/Exception.h>

// Checks in debug builds only.
#ifdef NDEBUG
#define STD_TORCH_DCHECK(...)       \
  do {                              \
    while (false) {                 \
      STD_TORCH_CHECK(__VA_ARGS__); \
    }                               \
  } while (0)
#else
#define STD_TORCH_DCHECK(...)     \
  do {                            \
    STD_TORCH_CHECK(__VA_ARGS__); \
  } while (0)
#endif
