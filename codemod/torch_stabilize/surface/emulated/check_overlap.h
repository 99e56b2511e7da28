// An op that works in place refuses an operand that shares part of what is
// written. As in libtorch this is only told of tensors without gaps.
inline void check_overlap(const torch::stable::Tensor& written,
                          const torch::stable::Tensor& read) {
  auto is_dense = [](const torch::stable::Tensor& tensor) {
    int64_t extent = 1;
    for (int64_t i = 0; i < tensor.dim(); ++i) {
      for (int64_t d = 0; d < tensor.dim(); ++d) {
        if (tensor.size(d) > 1 && tensor.stride(d) == extent) {
          extent *= tensor.size(d);
        }
      }
    }
    return extent == tensor.numel();
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
