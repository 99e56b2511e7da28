#include <torch/extension.h>

// Rows whose sum is at least the threshold stay, the others become zero.
at::Tensor gate_rows(at::Tensor x, double threshold) {
  TORCH_CHECK(x.dim() == 2, "gate_rows: x has no rows");
  at::Tensor source = x.contiguous();
  at::Tensor out = at::zeros({source.size(0), source.size(1)}, source.options());
  const float* from = source.data_ptr<float>();
  float* to = out.data_ptr<float>();
  const int64_t width = source.size(1);
  for (int64_t row = 0; row < source.size(0); ++row) {
    float sum = 0;
    for (int64_t i = 0; i < width; ++i) {
      sum += from[row * width + i];
    }
    if (sum >= static_cast<float>(threshold)) {
      for (int64_t i = 0; i < width; ++i) {
        to[row * width + i] = from[row * width + i];
      }
    }
  }
  return out;
}

// Never called by the tests.
at::Tensor double_rows(at::Tensor x) {
  at::Tensor source = x.contiguous();
  at::Tensor out = at::zeros({source.size(0), source.size(1)}, source.options());
  const float* from = source.data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t i = 0; i < source.numel(); ++i) {
    to[i] = 2 * from[i];
  }
  return out;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("gate_rows", &gate_rows);
  m.def("double_rows", &double_rows);
}
