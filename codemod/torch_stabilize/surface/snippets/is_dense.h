#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <vector>

// Whether a tensor fills its memory without gaps or overlaps, in any order of
// its dimensions.
inline bool is_non_overlapping_and_dense(const torch::stable::Tensor& tensor) {
  std::vector<int64_t> order;
  for (int64_t d = 0; d < tensor.dim(); ++d) {
    if (tensor.size(d) == 0) {
      return true;
    }
    if (tensor.size(d) > 1) {
      order.push_back(d);
    }
  }
  std::sort(order.begin(), order.end(), [&tensor](int64_t a, int64_t b) {
    return tensor.stride(a) < tensor.stride(b);
  });
  int64_t expected = 1;
  for (int64_t d : order) {
    if (tensor.stride(d) != expected) {
      return false;
    }
    expected *= tensor.size(d);
  }
  return true;
}

// Tensor::is_contiguous(MemoryFormat::ChannelsLast) with 4 dimensions, of
// ChannelsLast3d with 5.
inline bool is_channels_last(const torch::stable::Tensor& tensor,
                             int64_t dims) {
  if (tensor.dim() != dims) {
    return false;
  }
  int64_t expected = 1;
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    // channels first, then the spatial dimensions from the last, then the batch
    int64_t d = i == 0 ? 1 : (i == tensor.dim() - 1 ? 0 : tensor.dim() - i);
    if (tensor.size(d) != 1) {
      if (tensor.stride(d) != expected) {
        return false;
      }
      expected *= tensor.size(d);
    }
  }
  return true;
}
