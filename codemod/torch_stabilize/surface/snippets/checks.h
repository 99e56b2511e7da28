#include <sstream>
#include <stdexcept>
#include <string>

// Message of a check: its arguments, printed one after the other.
template <typename... Args>
std::string check_message(const Args&... args) {
  std::ostringstream text;
  (text << ... << args);
  return text.str();
}

// Throws what reaches Python as a ValueError or an IndexError.
#define STD_TORCH_CHECK_VALUE(condition, ...)                    \
  do {                                                           \
    if (!(condition)) {                                          \
      throw std::invalid_argument(check_message(__VA_ARGS__));   \
    }                                                            \
  } while (0)

#define STD_TORCH_CHECK_INDEX(condition, ...)                    \
  do {                                                           \
    if (!(condition)) {                                          \
      throw std::out_of_range(check_message(__VA_ARGS__));       \
    }                                                            \
  } while (0)
