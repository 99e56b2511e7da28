// aten::sub_.Tensor
inline torch::stable::Tensor sub_(const torch::stable::Tensor& self,
                                  const torch::stable::Tensor& other,
                                  Scalar alpha = 1) {
  return assign(self, sub(self, other, alpha));
}
