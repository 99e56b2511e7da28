// aten::subtract.Tensor
inline torch::stable::Tensor subtract(const torch::stable::Tensor& self,
                                      const torch::stable::Tensor& other,
                                      Scalar alpha = 1) {
  return stable_aten::sub(self, other, alpha);
}
