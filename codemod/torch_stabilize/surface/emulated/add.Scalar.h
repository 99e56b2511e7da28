// aten::add.Scalar
inline torch::stable::Tensor add(const torch::stable::Tensor& self,
                                 Scalar other, Scalar alpha = 1) {
  return stable_aten::with_numbers(self, [&](const torch::stable::Tensor& tensor) {
    return stable_aten::add(tensor, other.to_tensor(tensor), alpha);
  });
}
