// aten::mul_.Scalar, which puts the number first: that decides how it is
// rounded for narrow dtypes. Tracing runs this on tensors without memory, which
// take no other device's tensor first.
inline torch::stable::Tensor mul_(const torch::stable::Tensor& self,
                                  Scalar other) {
  const bool is_meta =
      self.device().type() == torch::headeronly::DeviceType::Meta;
  stable_aten::with_numbers(self, [&](const torch::stable::Tensor& tensor) {
    const torch::stable::Tensor number = other.to_tensor(tensor);
    return is_meta ? stable_aten::mul_out(tensor, tensor, number)
                   : stable_aten::mul_out(tensor, number, tensor);
  });
  return self;
}
