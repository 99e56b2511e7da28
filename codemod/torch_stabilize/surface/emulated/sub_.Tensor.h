// aten::sub_.Tensor
inline torch::stable::Tensor sub_(const torch::stable::Tensor& self,
                                  const torch::stable::Tensor& other,
                                  Scalar alpha = 1) {
  stable_aten::check_overlap(self, other);
  return stable_aten::assign(self,
                             stable_aten::sub(self, other, alpha));
}
