#include <ATen/Parallel.h>
#include <torch/types.h>

#include <cmath>
#include <vector>

#include "../dispatch_utils.h"
#include "../quantization/hadamard/hadamard_checks.h"
#include "row_grain.h"

namespace samplex {
namespace {

// The fast Walsh-Hadamard transform, in place and unscaled.
void hadamard_row(float* row, int64_t width) {
  for (int64_t half = 1; half < width; half *= 2) {
    for (int64_t start = 0; start < width; start += 2 * half) {
      for (int64_t i = start; i < start + half; ++i) {
        const float a = row[i];
        const float b = row[i + half];
        row[i] = a + b;
        row[i + half] = a - b;
      }
    }
  }
}

}  // namespace
}  // namespace samplex

torch::Tensor hadacore_transform_cpu(torch::Tensor& x, bool inplace) {
  samplex::check_hadamard(x);
  torch::Tensor out = torch::empty_like(x);
  const int64_t width = x.size(-1);
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));

  SAMPLEX_DISPATCH_HALF_TYPES(x.scalar_type(), "hadacore_transform", [&] {
    scalar_t* out_data = out.data_ptr<scalar_t>();
    const scalar_t* x_data = x.data_ptr<scalar_t>();
    at::parallel_for(0, x.numel() / width, samplex::row_grain(width),
                     [&](int64_t begin, int64_t end) {
                       std::vector<float> row(width);
                       for (int64_t start = begin * width; start < end * width;
                            start += width) {
                         for (int64_t i = 0; i < width; ++i) {
                           row[i] = static_cast<float>(x_data[start + i]);
                         }
                         samplex::hadamard_row(row.data(), width);
                         for (int64_t i = 0; i < width; ++i) {
                           out_data[start + i] =
                               static_cast<scalar_t>(row[i] * scale);
                         }
                       }
                     });
  });
  if (inplace) x.copy_(out);
  return out;
}
