// aten::subtract_.Tensor
inline torch::stable::Tensor subtract_(const torch::stable::Tensor& self,
                                       const torch::stable::Tensor& other,
                                       Scalar alpha = 1) {
  return stable_aten::sub_(self, other, alpha);
}
