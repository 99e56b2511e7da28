// aten::mul_.Scalar, which puts the number first: that decides how it is
// rounded for narrow dtypes.
inline torch::stable::Tensor mul_(const torch::stable::Tensor& self,
                                  Scalar other) {
  stable_aten::with_numbers(self, [&](const torch::stable::Tensor& tensor) {
    return stable_aten::mul_out(tensor, other.to_tensor(tensor), tensor);
  });
  return self;
}
