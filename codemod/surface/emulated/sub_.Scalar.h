// aten::sub_.Scalar
inline torch::stable::Tensor sub_(const torch::stable::Tensor& self,
                                  Scalar other, Scalar alpha = 1) {
  return assign(self, sub(self, other, alpha));
}
