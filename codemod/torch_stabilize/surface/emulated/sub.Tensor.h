// aten::sub.Tensor
inline torch::stable::Tensor sub(const torch::stable::Tensor& self,
                                 const torch::stable::Tensor& other,
                                 Scalar alpha = 1) {
  STD_TORCH_CHECK(
      self.scalar_type() != torch::headeronly::ScalarType::Bool &&
          other.scalar_type() != torch::headeronly::ScalarType::Bool,
      "Subtraction with a bool tensor is not supported");
  STD_TORCH_CHECK(!alpha.is_boolean(),
                  "Boolean alpha only supported for Boolean results.");
  return stable_aten::add(self, other, -alpha);
}
