// Means over segments of rows, and two small helpers: what Python wraps into a torch.autograd.Function.
#include "segments.h"

#include <ATen/Dispatch.h>

namespace {

void check(const at::Tensor& x, const at::Tensor& offsets) {
  TORCH_CHECK(x.dim() == 2, "x must have two dimensions, got ", x.dim());
  TORCH_CHECK(offsets.dim() == 1 && offsets.numel() > 0, "offsets must have one dimension and an element");
  TORCH_CHECK(offsets.scalar_type() == at::kLong, "offsets must be int64");
  TORCH_CHECK(offsets.device() == x.device(), "x and offsets must be on one device");
}

template <typename scalar_t>
void mean_of_segments(
    const scalar_t* x, const int64_t* offsets, scalar_t* mean, scalar_t* length, int64_t segments, int64_t width) {
  for (int64_t s = 0; s < segments; ++s) {
    const int64_t rows = offsets[s + 1] - offsets[s];
    length[s] = static_cast<scalar_t>(rows > 0 ? rows : 1);
    for (int64_t r = offsets[s]; r < offsets[s + 1]; ++r) {
      for (int64_t c = 0; c < width; ++c) mean[s * width + c] += x[r * width + c];
    }
    for (int64_t c = 0; c < width; ++c) mean[s * width + c] /= length[s];
  }
}

}  // namespace

std::tuple<at::Tensor, at::Tensor> segment_mean_forward(const at::Tensor& x, const at::Tensor& offsets) {
  check(x, offsets);
  const int64_t segments = offsets.size(0) - 1;
  const int64_t width = x.size(1);
  const at::Tensor rows = x.contiguous();
  at::Tensor mean = at::zeros({segments, width}, x.options());
  at::Tensor length = at::empty({segments}, x.options());
  if (x.is_cuda()) {
#ifdef WITH_CUDA
    segment_mean_cuda(rows, offsets, mean, length);
    return {mean, length};
#else
    TORCH_CHECK(false, "segments was built for the CPU");
#endif
  }
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "segment_mean_forward", [&] {
    mean_of_segments(
        rows.data_ptr<scalar_t>(), offsets.data_ptr<int64_t>(), mean.data_ptr<scalar_t>(), length.data_ptr<scalar_t>(),
        segments, width);
  });
  return {mean, length};
}

at::Tensor segment_mean_backward(
    const at::Tensor& grad, const at::Tensor& offsets, const at::Tensor& length, int64_t rows) {
  check(grad, offsets);
  const int64_t segments = offsets.size(0) - 1;
  const int64_t width = grad.size(1);
  const at::Tensor in = grad.contiguous();
  at::Tensor grad_x = at::zeros({rows, width}, grad.options());
  if (grad.is_cuda()) {
#ifdef WITH_CUDA
    segment_mean_backward_cuda(in, offsets, length, grad_x);
    return grad_x;
#else
    TORCH_CHECK(false, "segments was built for the CPU");
#endif
  }
  AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "segment_mean_backward", [&] {
    const scalar_t* g = in.data_ptr<scalar_t>();
    const scalar_t* n = length.data_ptr<scalar_t>();
    const int64_t* o = offsets.data_ptr<int64_t>();
    scalar_t* out = grad_x.data_ptr<scalar_t>();
    for (int64_t s = 0; s < segments; ++s) {
      for (int64_t r = o[s]; r < o[s + 1]; ++r) {
        for (int64_t c = 0; c < width; ++c) out[r * width + c] = g[s * width + c] / n[s];
      }
    }
  });
  return grad_x;
}

at::Tensor scale_rows_(at::Tensor x, const at::Tensor& weight) {
  TORCH_CHECK(x.dim() == 2 && weight.dim() == 1, "x must have two dimensions and weight one");
  TORCH_CHECK(x.size(0) == weight.size(0), "there are ", x.size(0), " rows and ", weight.size(0), " weights");
  return x.mul_(weight.unsqueeze(1));
}

at::Tensor weighted_sum(const std::vector<at::Tensor>& parts, const std::optional<at::Tensor>& weights) {
  TORCH_CHECK(!parts.empty(), "there are no parts");
  at::Tensor sum = at::zeros_like(parts[0]);
  for (size_t i = 0; i < parts.size(); ++i) {
    sum = sum + (weights ? parts[i] * weights->select(0, static_cast<int64_t>(i)) : parts[i]);
  }
  return sum;
}
