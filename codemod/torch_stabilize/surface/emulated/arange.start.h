// aten::arange.start for integers
inline torch::stable::Tensor arange(
    int64_t start, int64_t end,
    std::optional<torch::headeronly::ScalarType> dtype = std::nullopt,
    std::optional<torch::headeronly::Layout> layout = std::nullopt,
    const std::optional<torch::stable::Device>& device = std::nullopt,
    std::optional<bool> pin_memory = std::nullopt) {
  return stable_aten::arange(start, end, 1, dtype, layout, device, pin_memory);
}
