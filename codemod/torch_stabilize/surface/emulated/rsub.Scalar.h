// aten::rsub.Scalar
inline torch::stable::Tensor rsub(const torch::stable::Tensor& self,
                                  Scalar other, Scalar alpha = 1) {
  return stable_aten::with_numbers(self, [&](const torch::stable::Tensor& tensor) {
    return stable_aten::sub(other.to_tensor(tensor), tensor, alpha);
  });
}
