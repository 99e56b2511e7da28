// An op that works in place refuses an operand that shares part of what is
// written. As in libtorch this is only told of tensors without gaps.
inline void check_overlap(const torch::stable::Tensor& written,
                          const torch::stable::Tensor& read) {
  auto is_dense = [](const torch::stable::Tensor& tensor) {
    std::vector<std::pair<int64_t, int64_t>> dims;
    for (int64_t d = 0; d < tensor.dim(); ++d) {
      if (tensor.size(d) != 1) {
        dims.emplace_back(tensor.stride(d), tensor.size(d));
      }
    }
    std::sort(dims.begin(), dims.end());
    int64_t expected = 1;
    for (const auto& [stride, size] : dims) {
      if (stride != expected) {
        return false;
      }
      expected *= size;
    }
    return true;
  };
  auto begin = [](const torch::stable::Tensor& tensor) {
    return static_cast<const char*>(tensor.const_data_ptr());
  };
  auto end = [&](const torch::stable::Tensor& tensor) {
    return begin(tensor) + tensor.numel() * tensor.element_size();
  };
  const bool apart = begin(written) >= end(read) || begin(read) >= end(written);
  if (apart || !is_dense(written) || !is_dense(read)) {
    return;
  }
  bool is_same = begin(written) == begin(read) && end(written) == end(read) &&
                 written.dim() == read.dim();
  for (int64_t d = 0; is_same && d < read.dim(); ++d) {
    is_same = written.stride(d) == read.stride(d);
  }
  STD_TORCH_CHECK(is_same,
                  "unsupported operation: some elements of the input tensor "
                  "and the written-to tensor refer to a single memory "
                  "location. Please clone() the tensor before performing the "
                  "operation.");
}
