// Functions whose gradients are written in C++.
#include "segments.h"

#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

namespace {

// y and whether each element of it is not 0.
std::tuple<at::Tensor, at::Tensor> shrunk(const at::Tensor& x, double by) {
  at::Tensor y = at::empty_like(x);
  at::Tensor kept = at::empty(x.sizes(), x.options().dtype(at::kBool));
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "soft_threshold", [&] {
    const scalar_t* in = x.data_ptr<scalar_t>();
    scalar_t* out = y.data_ptr<scalar_t>();
    bool* k = kept.data_ptr<bool>();
    const scalar_t t = static_cast<scalar_t>(by);
    for (int64_t i = 0; i < x.numel(); ++i) {
      k[i] = in[i] > t || in[i] < -t;
      out[i] = in[i] > t ? in[i] - t : in[i] < -t ? in[i] + t : scalar_t(0);
    }
  });
  return {y, kept};
}

class SoftThreshold : public torch::autograd::Function<SoftThreshold> {
 public:
  static Variable forward(AutogradContext* ctx, const Variable& x, double by) {
    TORCH_CHECK(x.is_cpu(), "soft_threshold runs on the CPU");
    auto [y, kept] = shrunk(x, by);
    ctx->save_for_backward({kept});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto kept = ctx->get_saved_variables()[0];
    return {grads[0] * kept, Variable()};
  }
};

class RowMax : public torch::autograd::Function<RowMax> {
 public:
  static variable_list forward(AutogradContext* ctx, Variable x, std::optional<Variable> bias) {
    ctx->saved_data["width"] = x.size(1);
    ctx->saved_data["has_bias"] = bias.has_value();
    auto found = (bias.has_value() ? x + bias.value() : x).max(1);
    auto values = std::get<0>(found), columns = std::get<1>(found);
    ctx->save_for_backward({columns});
    ctx->mark_non_differentiable({columns});
    return {values, columns};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto columns = ctx->get_saved_variables()[0];
    auto width = ctx->saved_data["width"].toInt();
    auto grad_x = at::zeros({columns.size(0), width}, grads[0].options());
    grad_x = grad_x.scatter(1, columns.unsqueeze(1), grads[0].unsqueeze(1));
    at::Tensor grad_bias;
    if (ctx->saved_data["has_bias"].toBool()) grad_bias = grad_x.sum(0);
    return {grad_x, grad_bias};
  }
};

}  // namespace

at::Tensor soft_threshold(const at::Tensor& x, double by) {
  TORCH_CHECK(by >= 0, "by must not be negative, got ", by);
  return SoftThreshold::apply(x.contiguous(), by);
}

std::tuple<at::Tensor, at::Tensor> row_max(at::Tensor x, const std::optional<at::Tensor>& bias) {
  TORCH_CHECK(x.dim() == 2, "x must have two dimensions, got ", x.dim());
  auto found = RowMax::apply(x, bias);
  return {found[0], found[1]};
}
