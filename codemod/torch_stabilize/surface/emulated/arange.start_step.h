// aten::arange.start_step for integers: the sums of ones, scaled and shifted.
inline torch::stable::Tensor arange(
    int64_t start, int64_t end, int64_t step,
    std::optional<torch::headeronly::ScalarType> dtype = std::nullopt,
    std::optional<torch::headeronly::Layout> layout = std::nullopt,
    const std::optional<torch::stable::Device>& device = std::nullopt,
    std::optional<bool> pin_memory = std::nullopt) {
  using torch::headeronly::ScalarType;
  STD_TORCH_CHECK(dtype != ScalarType::Bool,
                  "arange is not implemented for 'Bool'");
  STD_TORCH_CHECK(step != 0, "step must be nonzero");
  STD_TORCH_CHECK(step > 0 ? start <= end : start >= end,
                  "upper bound and lower bound inconsistent with step sign");
  const int64_t span = step > 0 ? end - start : start - end;
  const int64_t stride = step > 0 ? step : -step;
  torch::stable::Tensor ones =
      torch::stable::full({(span + stride - 1) / stride}, 1, ScalarType::Long,
                          layout, device, pin_memory);
  torch::stable::Tensor values = stable_aten::cumsum(ones, 0);
  if (step != 1) {
    values = stable_aten::mul(values, step);
  }
  if (start != step) {
    values = stable_aten::add(values, start - step);
  }
  return torch::stable::to(values, dtype.value_or(ScalarType::Long));
}
