#include <algorithm>

// The integers below `end`, from 0 or from `begin` on, for a range-based loop.
template <typename T>
struct IntegerRange {
  struct Iterator {
    T value;
    constexpr T operator*() const { return value; }
    constexpr Iterator& operator++() {
      ++value;
      return *this;
    }
    constexpr bool operator==(const Iterator& other) const {
      return value == other.value;
    }
    constexpr bool operator!=(const Iterator& other) const {
      return value != other.value;
    }
  };
  T first;
  T last;
  constexpr Iterator begin() const { return {first}; }
  constexpr Iterator end() const { return {last}; }
};

template <typename T>
constexpr IntegerRange<T> irange(T end) {
  return {T{}, std::max(T{}, end)};
}

template <typename From, typename T>
constexpr IntegerRange<T> irange(From begin, T end) {
  const T first = static_cast<T>(begin);
  return {first, std::max(first, end)};
}
