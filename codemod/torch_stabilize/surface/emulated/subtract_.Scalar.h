// aten::subtract_.Scalar
inline torch::stable::Tensor subtract_(const torch::stable::Tensor& self,
                                       Scalar other, Scalar alpha = 1) {
  return stable_aten::sub_(self, other, alpha);
}
