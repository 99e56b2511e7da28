// Sizes, one size, or none: where at:: takes an OptionalIntArrayRef.
class OptionalInts {
 public:
  OptionalInts(std::nullopt_t) {}
  OptionalInts(std::initializer_list<int64_t> values) : values_(values) {}
  OptionalInts(const std::vector<int64_t>& values) : values_(values) {}
  OptionalInts(const std::optional<std::vector<int64_t>>& values)
      : values_(values) {}
  OptionalInts(
      const std::optional<torch::headeronly::IntHeaderOnlyArrayRef>& values) {
    if (values.has_value()) {
      values_ = values->vec();
    }
  }
  OptionalInts(torch::headeronly::IntHeaderOnlyArrayRef values)
      : values_(values.vec()) {}
  template <typename T, std::enable_if_t<std::is_integral_v<T>, int> = 0>
  OptionalInts(T value)
      : values_(std::vector<int64_t>{static_cast<int64_t>(value)}) {}

  const std::optional<std::vector<int64_t>>& values() const { return values_; }

 private:
  std::optional<std::vector<int64_t>> values_;
};
