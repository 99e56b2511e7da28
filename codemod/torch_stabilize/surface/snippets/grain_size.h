#include <cstdint>

// Grain size for parallel_for: with fewer elements a thread does not pay.
constexpr int64_t GRAIN_SIZE = 32768;
