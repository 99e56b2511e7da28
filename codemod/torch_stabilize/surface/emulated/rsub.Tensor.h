// aten::rsub.Tensor
inline torch::stable::Tensor rsub(const torch::stable::Tensor& self,
                                  const torch::stable::Tensor& other,
                                  Scalar alpha = 1) {
  return stable_aten::sub(other, self, alpha);
}
