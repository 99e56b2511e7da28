#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

// a where the mask is set, b elsewhere, both scaled; the mask may be missing.
at::Tensor blend(const at::Tensor& a, const at::Tensor& b, const std::optional<at::Tensor>& mask, double scale) {
  TORCH_CHECK(a.sizes() == b.sizes(), "blend: the sizes differ");
  at::Tensor x = a.contiguous();
  at::Tensor y = b.contiguous();
  at::Tensor out = at::empty_like(x);
  const float* from = x.data_ptr<float>();
  const float* other = y.data_ptr<float>();
  const bool* chosen = mask.has_value() ? mask->data_ptr<bool>() : nullptr;
  float* to = out.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) {
    const bool first = chosen == nullptr || chosen[i];
    to[i] = static_cast<float>(scale) * (first ? from[i] : other[i]);
  }
  return out;
}

// Adds `by` to every element of x, and counts how many became larger than `limit`.
int64_t raise_all(at::Tensor& x, double by, int64_t limit) {
  TORCH_CHECK(x.is_contiguous(), "raise_all: x is not contiguous");
  int64_t count = 0;
  float* values = x.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) {
    values[i] += static_cast<float>(by);
    count += values[i] > static_cast<float>(limit) ? 1 : 0;
  }
  return count;
}

TORCH_LIBRARY(tiny, m) {
  m.def("blend(Tensor a, Tensor b, Tensor? mask=None, float scale=1.0) -> Tensor");
  m.impl("blend", c10::kCPU, &blend);
  m.def("raise_all(Tensor(a!) x, float by, int limit) -> int");
  m.impl("raise_all", c10::kCPU, &raise_all);
}
