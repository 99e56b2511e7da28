#include <cstdint>

// The product of a list of integers, 1 for an empty one.
template <typename List>
int64_t multiply_integers(const List& values) {
  int64_t product = 1;
  for (const auto& value : values) {
    product *= value;
  }
  return product;
}

template <typename Iterator>
int64_t multiply_integers(Iterator begin, Iterator end) {
  int64_t product = 1;
  for (; begin != end; ++begin) {
    product *= *begin;
  }
  return product;
}
