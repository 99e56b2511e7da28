#include <sstream>
#include <string>

// Concatenates the arguments as text.
template <typename... Args>
std::string concatenate(const Args&... args) {
  std::ostringstream text;
  (text << ... << args);
  return text.str();
}
