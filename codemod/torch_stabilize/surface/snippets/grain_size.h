#include <cstdint>

// As many elements as are worth a thread of their own in parallel_for.
constexpr int64_t GRAIN_SIZE = 32768;
