// What an op that works in place does with its result.
inline torch::stable::Tensor assign(const torch::stable::Tensor& self,
                                    const torch::stable::Tensor& result) {
  STD_TORCH_CHECK(stable_aten::can_cast(result.scalar_type(),
                                        self.scalar_type()),
                  "result type ", result.scalar_type(),
                  " can't be cast to the desired output type ",
                  self.scalar_type());
  torch::stable::Tensor target = self;
  return torch::stable::copy_(target, result);
}
