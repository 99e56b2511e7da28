// aten::sub_.Scalar
inline torch::stable::Tensor sub_(const torch::stable::Tensor& self,
                                  Scalar other, Scalar alpha = 1) {
  return stable_aten::assign(self,
                             stable_aten::sub(self, other, alpha));
}
