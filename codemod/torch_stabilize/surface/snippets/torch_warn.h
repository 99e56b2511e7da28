#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include <sstream>

// Warns with the values of the arguments; AOTI_TORCH_WARN shows their source
// text.
template <typename... Args>
void torch_warn(const char* function, const char* file, uint32_t line,
                const Args&... args) {
  std::ostringstream message;
  (message << ... << args);
  aoti_torch_warn(function, file, line, message.str().c_str());
}

#define STD_TORCH_WARN(...) \
  torch_warn(__func__, __FILE__, static_cast<uint32_t>(__LINE__), __VA_ARGS__)

#define STD_TORCH_WARN_ONCE(...)                             \
  do {                                                       \
    static const bool warned = (STD_TORCH_WARN(__VA_ARGS__), true); \
    (void)warned;                                            \
  } while (0)
