#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

// out = input * factor, for contiguous tensors; a negative factor is refused.
void scale(at::Tensor& out, const at::Tensor& input, double factor) {
  TORCH_CHECK(factor >= 0, "factor must not be negative, got ", factor);
  TORCH_CHECK(out.numel() == input.numel(), "out and input differ in size");
  AT_DISPATCH_SWITCH(
      input.scalar_type(), "scale",
      AT_DISPATCH_CASE(at::kFloat, [&] {
        const float* from = input.const_data_ptr<float>();
        float* to = out.mutable_data_ptr<float>();
        for (int64_t i = 0; i < input.numel(); ++i) to[i] = from[i] * static_cast<float>(factor);
      }));
}

// The sum of both and the larger of both, element by element.
std::tuple<at::Tensor, double> join(const at::Tensor& a, const at::Tensor& b, int64_t times) {
  at::Tensor result = at::empty_like(a);
  double largest = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const float sum = a.const_data_ptr<float>()[i] + b.const_data_ptr<float>()[i] * times;
    result.mutable_data_ptr<float>()[i] = sum;
    largest = sum > largest ? sum : largest;
  }
  return {result, largest};
}

TORCH_LIBRARY(scaling, m) {
  m.def("scale(Tensor! out, Tensor input, float factor) -> ()");
  m.impl("scale", c10::kCPU, &scale);
  m.def("join(Tensor a, Tensor b, int times=1) -> (Tensor, float)");
  m.impl("join", c10::kCPU, &join);
}
