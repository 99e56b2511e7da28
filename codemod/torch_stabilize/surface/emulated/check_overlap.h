// An op that works in place refuses an operand that shares part of what is
// written. As in libtorch, only tensors without gaps are checked.
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
  // Null for tensors that only a compiler traces: they have no memory.
  auto begin_of = [](const torch::stable::Tensor& tensor) -> const char* {
    const void* data = nullptr;
    const bool has_memory = torch_get_const_data_ptr(tensor.get(), &data) == 0;
    return has_memory ? static_cast<const char*>(data) : nullptr;
  };
  const char* to = begin_of(written);
  const char* from = to != nullptr ? begin_of(read) : nullptr;
  if (from == nullptr) {
    return;
  }
  const char* to_end = to + written.numel() * written.element_size();
  const char* from_end = from + read.numel() * read.element_size();
  const bool apart = to >= from_end || from >= to_end;
  if (apart || !is_dense(written) || !is_dense(read)) {
    return;
  }
  bool is_same =
      to == from && to_end == from_end && written.dim() == read.dim();
  for (int64_t d = 0; is_same && d < read.dim(); ++d) {
    is_same = written.stride(d) == read.stride(d);
  }
  STD_TORCH_CHECK(is_same,
                  "unsupported operation: some elements of the input tensor "
                  "and the written-to tensor refer to a single memory "
                  "location. Please clone() the tensor before performing the "
                  "operation.");
}
