// aten::add_.Scalar
inline torch::stable::Tensor add_(const torch::stable::Tensor& self,
                                  Scalar other, Scalar alpha = 1) {
  return assign(self, add(self, other, alpha));
}
