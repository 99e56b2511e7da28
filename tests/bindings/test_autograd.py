"""C++ autograd functions: what becomes of them, and what is left to do by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codemod.bindings.autograd.convert import Converted, convert_autograd
from codemod.bindings.reading.registry import Registry
from codemod.repository.layout import Group, Library
from tests.bindings.trees import LAYOUT, dedented, tree

UNIT = "csrc/ramp.cpp"
SOURCE = """
    #include <torch/csrc/autograd/custom_function.h>
    #include <torch/library.h>
    using torch::autograd::AutogradContext;
    using torch::autograd::variable_list;

    static at::Tensor ramp_kernel(const at::Tensor& x, double top) {
      auto y = at::empty_like(x);
      y.data_ptr<float>()[0] = top * x.data_ptr<float>()[0];
      return y;
    }

    struct Ramp : public torch::autograd::Function<Ramp> {
      static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w, double top) {
        at::AutoDispatchBelowADInplaceOrView guard;
        ctx->save_for_backward({x, w});
        ctx->saved_data["top"] = top;
        return ramp_kernel(x * w, top);
      }
      static variable_list backward(AutogradContext* ctx, variable_list grads) {
        const auto saved = ctx->get_saved_variables();
        auto w = saved[1];
        const double top = ctx->saved_data["top"].toDouble();
        return {grads[0] * w * top, grads[0] * saved[0] * top, at::Tensor()};
      }
    };

    at::Tensor ramp(const at::Tensor& a, const at::Tensor& b, double c) { return Ramp::apply(a, b, c); }

    TORCH_LIBRARY(shop, m) {
      m.def("ramp(Tensor x, Tensor w, float top) -> Tensor", &ramp);
    }
"""
LAID_OUT = replace(LAYOUT, legacy_bindings=(UNIT,), libraries=(Library("_C", (UNIT,)),), python_roots=("shop",))


def converted(source: str) -> Converted:
    """The unit with its autograd functions taken apart."""
    files = tree({UNIT: source, "shop/__init__.py": "from . import _C\n"})
    return convert_autograd(Registry(files, LAID_OUT), Group("ramp", (UNIT,)))


def test_forward_and_backward_become_operators() -> None:
    """The guard, what was saved and the names of torch::autograd go; the rest stays as it was written."""
    done = converted(SOURCE)
    assert done.files[UNIT].decode() == dedented(
        """
        #include <torch/library.h>

        static at::Tensor ramp_kernel(const at::Tensor& x, double top) {
          auto y = at::empty_like(x);
          y.data_ptr<float>()[0] = top * x.data_ptr<float>()[0];
          return y;
        }

        at::Tensor ramp(const at::Tensor& x, const at::Tensor& w, double top) {
          return ramp_kernel(x * w, top);
        }

        std::tuple<at::Tensor, at::Tensor> ramp_backward(const at::Tensor& grad_output, const at::Tensor& saved_x, const at::Tensor& w, double top) {
          return std::make_tuple(grad_output * w * top, grad_output * saved_x * top);
        }

        TORCH_LIBRARY(shop, m) {
          m.def("ramp(Tensor x, Tensor w, float top) -> Tensor", &ramp);
          m.def("ramp_backward(Tensor grad_output, Tensor saved_x, Tensor w, float top) -> (Tensor, Tensor)", &ramp_backward);
        }
        """
    )
    (backward,) = done.backwards
    assert backward.operator == "shop::ramp"
    assert backward.text == dedented(
        """
        def _setup_ramp(ctx, inputs, output):
            x, w, top = inputs
            ctx.save_for_backward(x, w)
            ctx.top = top


        def _backward_ramp(ctx, grad_output):
            saved_x, w = ctx.saved_tensors
            gradients = torch.ops.shop.ramp_backward(grad_output, saved_x, w, ctx.top)
            return gradients[0], gradients[1], None


        torch.library.register_autograd("shop::ramp", _backward_ramp, setup_context=_setup_ramp)
        """
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("ctx->save_for_backward({x, w});", "auto y = x * w; ctx->save_for_backward({y});", "saves y, which is no argument"),
        ("ctx->saved_data", "ctx->mark_dirty({x}); ctx->saved_data", "forward does more with its context"),
        ("saved[1];", "saved[1]; if (ctx->needs_input_grad(0)) return {};", "backward does more with its context"),
        ("static at::Tensor forward", "static variable_list forward", "its forward gives variable_list"),
        ("return {grads[0]", "if (top > 1) return {grads[0], w, w}; return {grads[0]", "has not one `return`"),
        ("return Ramp::apply(a, b, c);", "return Ramp::apply(a.contiguous(), b, c);", "not applied by one function"),
        ("const at::Tensor& w, double top) {\n", "std::vector<at::Tensor> w, double top) {\n", "forward takes w, which is a list"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_one_message_for_the_class(old: str, new: str, reason: str) -> None:
    """The class stays as it is, and the message says why."""
    done = converted(SOURCE.replace(old, new, 1))
    assert not done.files
    assert not done.backwards
    (said,) = done.diagnostics
    assert said.code == "TSA532"
    assert reason in said.message
