// aten::add_.Tensor
inline torch::stable::Tensor add_(const torch::stable::Tensor& self,
                                  const torch::stable::Tensor& other,
                                  Scalar alpha = 1) {
  stable_aten::check_overlap(self, other);
  return stable_aten::assign(self,
                             stable_aten::add(self, other, alpha));
}
