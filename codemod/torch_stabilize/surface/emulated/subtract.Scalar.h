// aten::subtract.Scalar
inline torch::stable::Tensor subtract(const torch::stable::Tensor& self,
                                      Scalar other, Scalar alpha = 1) {
  return stable_aten::sub(self, other, alpha);
}
