// aten::sub.Scalar
inline torch::stable::Tensor sub(const torch::stable::Tensor& self,
                                 Scalar other, Scalar alpha = 1) {
  return stable_aten::beside_numbers(self, [&](const torch::stable::Tensor& tensor) {
    return stable_aten::sub(tensor, other.beside(tensor), alpha);
  });
}
