#include <torch/csrc/stable/ops.h>

#include <atomic>
#include <cstdint>
#include <exception>

// Rethrows what `f` threw, as at::parallel_for does: the C shim would lose its
// type and its message.
template <class F>
void parallel_for(int64_t begin, int64_t end, int64_t grain_size, const F& f) {
  std::exception_ptr error;
  std::atomic_flag has_error = ATOMIC_FLAG_INIT;
  torch::stable::parallel_for(
      begin, end, grain_size, [&](int64_t first, int64_t last) {
        try {
          f(first, last);
        } catch (...) {
          if (!has_error.test_and_set()) error = std::current_exception();
        }
      });
  if (error) std::rethrow_exception(error);
}
