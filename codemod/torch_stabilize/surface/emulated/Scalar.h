// Scalar operand as a 0-dim tensor.
class Scalar {
 public:
  template <typename T,
            std::enable_if_t<std::is_convertible_v<T, float>, int> = 0>
  Scalar(T value)
      : kind_(std::is_same_v<T, bool> ? Kind::boolean
              : std::is_integral_v<T> || std::is_enum_v<T>
                  ? Kind::integral
                  : Kind::floating),
        floating_(static_cast<double>(value)),
        integral_(static_cast<int64_t>(value)) {}

  double to_double() const { return floating_; }
  bool is_floating() const { return kind_ == Kind::floating; }
  bool is_boolean() const { return kind_ == Kind::boolean; }
  bool is_one() const { return floating_ == 1.0; }
  // an integer that a double may not hold
  bool is_wide() const {
    constexpr int64_t exact = int64_t{1} << 53;
    return kind_ == Kind::integral && (integral_ > exact || integral_ < -exact);
  }
  // a negative integer that is not below `-largest`
  bool is_negative(int64_t largest) const {
    return kind_ == Kind::integral && integral_ < 0 && integral_ >= -largest;
  }
  Scalar operator-() const {
    return kind_ == Kind::floating ? Scalar(-floating_) : Scalar(-integral_);
  }

  // A tensor of no dimensions that counts in type promotion as a number does
  // with a tensor that has some.
  torch::stable::Tensor to_tensor(const torch::stable::Tensor& tensor) const {
    AtenTensorHandle handle = nullptr;
    if (kind_ == Kind::boolean) {
      STABLE_TORCH_ERROR_CODE_CHECK(
          aoti_torch_scalar_to_tensor_bool(integral_ != 0, &handle));
    } else if (kind_ == Kind::integral) {
      STABLE_TORCH_ERROR_CODE_CHECK(
          aoti_torch_scalar_to_tensor_int64(integral_, &handle));
    } else if (is_integral(tensor.scalar_type())) {
      // with integers a number is of the default dtype
      STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_scalar_to_tensor_float32(
          static_cast<float>(floating_), &handle));
    } else {
      STABLE_TORCH_ERROR_CODE_CHECK(
          aoti_torch_scalar_to_tensor_float64(floating_, &handle));
    }
    return torch::stable::Tensor(handle);
  }

  static bool is_integral(torch::headeronly::ScalarType dtype) {
    using torch::headeronly::ScalarType;
    return dtype == ScalarType::Byte || dtype == ScalarType::Char ||
           dtype == ScalarType::Short || dtype == ScalarType::Int ||
           dtype == ScalarType::Long || dtype == ScalarType::UInt16 ||
           dtype == ScalarType::UInt32 || dtype == ScalarType::UInt64 ||
           dtype == ScalarType::Bool;
  }

 private:
  enum class Kind { boolean, integral, floating };
  Kind kind_;
  double floating_;
  int64_t integral_;
};

inline std::optional<torch::stable::Tensor> to_tensor(
    const torch::stable::Tensor& tensor, const std::optional<Scalar>& number) {
  if (!number) {
    return std::nullopt;
  }
  return number->to_tensor(tensor);
}

// With a tensor of no dimensions a number must not decide the dtype: give
// the tensor a dimension for the time of the call.
template <typename F>
torch::stable::Tensor with_numbers(const torch::stable::Tensor& self,
                                     const F& call) {
  if (self.dim() > 0) {
    return call(self);
  }
  return torch::stable::squeeze(call(torch::stable::unsqueeze(self, 0)), 0);
}
