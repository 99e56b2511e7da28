// aten::add_.Scalar
inline torch::stable::Tensor add_(const torch::stable::Tensor& self,
                                  Scalar other, Scalar alpha = 1) {
  return stable_aten::assign(self,
                             stable_aten::add(self, other, alpha));
}
