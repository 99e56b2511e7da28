// aten::add.Tensor. Its alpha cannot be passed through the dispatcher:
// subtracting -alpha * other runs the same kernel, but takes no integers,
// which aten::sum adds up exactly.
inline torch::stable::Tensor add(const torch::stable::Tensor& self,
                                 const torch::stable::Tensor& other,
                                 Scalar alpha = 1) {
  using torch::headeronly::ScalarType;
  ScalarType dtype = stable_aten::result_type(self, other);
  STD_TORCH_CHECK(!alpha.is_boolean() || dtype == ScalarType::Bool,
                  "Boolean alpha only supported for Boolean results.");
  auto number = [dtype](const torch::stable::Tensor& term) {
    bool is_bool = term.scalar_type() == ScalarType::Bool;
    return is_bool ? torch::stable::to(term, dtype) : term;
  };
  if (!Scalar::is_integral(dtype)) {
    return torch::stable::subtract(number(self), number(other),
                                   -alpha.to_double());
  }
  STD_TORCH_CHECK(!alpha.is_floating(),
                  "For integral input tensors, argument alpha must not be a "
                  "floating point number.");
  if (dtype == ScalarType::Bool && alpha.is_one()) {
    return stable_aten::logical_or(self, other);
  }
  torch::stable::Tensor second = torch::stable::to(other, dtype);
  torch::stable::Tensor first = torch::stable::to(self, dtype);
  std::vector<torch::stable::Tensor> terms =
      stable_aten::broadcast_tensors(
          {first, alpha.is_one() ? second : stable_aten::mul(second, alpha)});
  // a tensor of the strides that torch gives the result of such an op
  torch::stable::Tensor result = stable_aten::mul(first, second);
  return torch::stable::copy_(
      result, torch::stable::sum(stable_aten::stack(terms, 0),
                                 std::vector<int64_t>{0}, false, dtype));
}
