#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Dispatch.h>
#include <torch/headeronly/util/Exception.h>

#include <tuple>

using torch::stable::Tensor;

// out = input * factor, for contiguous tensors; a negative factor is refused.
void scale(Tensor& out, const Tensor& input, double factor) {
  STD_TORCH_CHECK(factor >= 0, "factor must not be negative, got ", factor);
  STD_TORCH_CHECK(out.numel() == input.numel(), "out and input differ in size");
  THO_DISPATCH_SWITCH(
      input.scalar_type(), "scale",
      THO_DISPATCH_CASE(torch::headeronly::ScalarType::Float, [&] {
        const float* from = input.const_data_ptr<float>();
        float* to = out.mutable_data_ptr<float>();
        for (int64_t i = 0; i < input.numel(); ++i) to[i] = from[i] * static_cast<float>(factor);
      }));
}

// The sum of both and the larger of both, element by element.
std::tuple<Tensor, double> join(const Tensor& a, const Tensor& b, int64_t times) {
  Tensor result = torch::stable::empty_like(a);
  double largest = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const float sum = a.const_data_ptr<float>()[i] + b.const_data_ptr<float>()[i] * times;
    result.mutable_data_ptr<float>()[i] = sum;
    largest = sum > largest ? sum : largest;
  }
  return {result, largest};
}

STABLE_TORCH_LIBRARY(scaling, m) {
  m.def("scale(Tensor! out, Tensor input, float factor) -> ()");
  m.def("join(Tensor a, Tensor b, int times=1) -> (Tensor, float)");
}

STABLE_TORCH_LIBRARY_IMPL(scaling, CPU, m) {
  m.impl("scale", TORCH_BOX(&scale));
  m.impl("join", TORCH_BOX(&join));
}
