#include <sstream>
#include <string>

// The arguments put together as text.
template <typename... Args>
std::string concatenate(const Args&... args) {
  std::ostringstream text;
  (text << ... << args);
  return text.str();
}
