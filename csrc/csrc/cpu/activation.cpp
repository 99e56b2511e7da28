#include <ATen/Parallel.h>
#include <torch/all.h>

#include "../activation_checks.h"
#include "../activation_math.h"
#include "../dispatch_utils.h"
#include "row_grain.h"

namespace samplex {
namespace {

// Applies `act` to the two halves of every row.
template <typename scalar_t, typename Activation>
void gated_rows(scalar_t* out, const scalar_t* input, int64_t num_rows,
                int64_t width, const Activation& act) {
  at::parallel_for(
      0, num_rows, row_grain(width), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const scalar_t* gate = input + row * 2 * width;
          const scalar_t* value = gate + width;
          scalar_t* result = out + row * width;
          for (int64_t i = 0; i < width; ++i) {
            result[i] = static_cast<scalar_t>(
                act(static_cast<float>(gate[i]), static_cast<float>(value[i])));
          }
        }
      });
}

template <typename scalar_t, typename Activation>
void elementwise(scalar_t* out, const scalar_t* input, int64_t count,
                 const Activation& act) {
  at::parallel_for(0, count, row_grain(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      out[i] = static_cast<scalar_t>(act(static_cast<float>(input[i])));
    }
  });
}

}  // namespace
}  // namespace samplex

// The functions below differ only in the functor.
#define RUN_GATED_ACTIVATION(NAME, ACTIVATION)                               \
  samplex::check_gated(out, input, NAME);                                    \
  const int64_t width = out.size(-1);                                        \
  const int64_t num_rows = samplex::row_count(out.numel(), width);           \
  const auto rows = input.contiguous();                                      \
  SAMPLEX_DISPATCH_FLOATING_TYPES(input.scalar_type(), NAME, [&] {           \
    samplex::gated_rows(out.data_ptr<scalar_t>(), rows.data_ptr<scalar_t>(), \
                        num_rows, width, ACTIVATION);                        \
  });

#define RUN_ELEMENTWISE_ACTIVATION(NAME, ACTIVATION)               \
  samplex::check_elementwise(out, input, NAME);                    \
  const auto values = input.contiguous();                          \
  SAMPLEX_DISPATCH_FLOATING_TYPES(input.scalar_type(), NAME, [&] { \
    samplex::elementwise(out.data_ptr<scalar_t>(),                 \
                         values.data_ptr<scalar_t>(), out.numel(), \
                         ACTIVATION);                              \
  });

void silu_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input) {
  RUN_GATED_ACTIVATION("silu_and_mul", samplex::SiluAndMul{});
}

void silu_and_mul_clamp_cpu(torch::Tensor& out, const torch::Tensor& input,
                            double limit) {
  RUN_GATED_ACTIVATION("silu_and_mul_with_clamp",
                       samplex::SiluAndMulClamp{static_cast<float>(limit)});
}

void mul_and_silu_cpu(torch::Tensor& out, const torch::Tensor& input) {
  RUN_GATED_ACTIVATION("mul_and_silu", samplex::MulAndSilu{});
}

void gelu_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input) {
  RUN_GATED_ACTIVATION("gelu_and_mul", samplex::GeluAndMul{});
}

void gelu_tanh_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input) {
  RUN_GATED_ACTIVATION("gelu_tanh_and_mul", samplex::GeluTanhAndMul{});
}

void fatrelu_and_mul_cpu(torch::Tensor& out, const torch::Tensor& input,
                         double threshold) {
  RUN_GATED_ACTIVATION("fatrelu_and_mul",
                       samplex::FatreluAndMul{static_cast<float>(threshold)});
}

void gelu_new_cpu(torch::Tensor& out, const torch::Tensor& input) {
  RUN_ELEMENTWISE_ACTIVATION("gelu_new", samplex::GeluNew{});
}

void gelu_fast_cpu(torch::Tensor& out, const torch::Tensor& input) {
  RUN_ELEMENTWISE_ACTIVATION("gelu_fast", samplex::GeluFast{});
}

void gelu_quick_cpu(torch::Tensor& out, const torch::Tensor& input) {
  RUN_ELEMENTWISE_ACTIVATION("gelu_quick", samplex::GeluQuick{});
}
