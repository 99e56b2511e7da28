// Blocks of code that were reached, where the extension was built with -fsanitize-coverage=trace-pc: every block then
// calls the function below. A table of addresses, each with the number of the call that reached it last.
//
// A library of its own, which needs nothing but the C library. It is loaded into the global scope, where the extension
// looks for the function; a library of torch that came along there would give its symbols to every other one.
#include "coverage.h"

namespace torch_stabilize::coverage {

Block blocks[kBlocks];
std::atomic<uint32_t> call{0};
std::atomic<uint32_t> calls{0};

} // namespace torch_stabilize::coverage

extern "C" __attribute__((visibility("default"))) void __sanitizer_cov_trace_pc() {
  namespace coverage = torch_stabilize::coverage;
  const auto address = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  const uint32_t now = coverage::call.load(std::memory_order_relaxed);
  size_t place = (address >> 1 ^ address >> 17) % coverage::kBlocks;
  for (size_t tried = 0; tried < 64; ++tried, place = (place + 1) % coverage::kBlocks) {
    auto& block = coverage::blocks[place];
    uintptr_t known = block.address.load(std::memory_order_relaxed);
    if (known == 0 && block.address.compare_exchange_strong(known, address)) {
      known = address;
    }
    if (known == address) {
      if (now != 0) {
        block.call.store(now, std::memory_order_relaxed);
      }
      return;
    }
  }
}
