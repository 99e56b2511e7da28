// aten::sub.Scalar
inline torch::stable::Tensor sub(const torch::stable::Tensor& self,
                                 Scalar other, Scalar alpha = 1) {
  return stable_aten::with_numbers(self, [&](const torch::stable::Tensor& tensor) {
    return stable_aten::sub(tensor, other.to_tensor(tensor), alpha);
  });
}
