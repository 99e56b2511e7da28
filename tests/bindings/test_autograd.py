"""C++ autograd functions: what becomes of them, and what is left to do by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch_stabilize.bindings.autograd.convert import Converted, convert_autograd
from torch_stabilize.bindings.reading.registry import Registry
from torch_stabilize.repository.layout import Group, Library

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
SAVE = "ctx->save_for_backward({x, w});"
LAID_OUT = replace(LAYOUT, legacy_bindings=(UNIT,), libraries=(Library("_C", (UNIT,)),), python_roots=("shop",))


def converted(source: str) -> Converted:
    """The unit with its autograd functions taken apart."""
    files = tree({UNIT: source, "shop/__init__.py": "from . import _C\n"})
    return convert_autograd(Registry(files, LAID_OUT), Group("ramp", (UNIT,)))


def test_comments_and_a_last_comma_in_lists_change_nothing() -> None:
    source = SOURCE.replace("{x, w}", "{\n            x,  // the rows, as given\n            w,  // last\n        }")
    source = source.replace("at::Tensor()};", "/* top, none */ at::Tensor(),  // nothing\n        };")
    assert source != SOURCE
    assert converted(source).files == converted(SOURCE).files


def test_what_forward_makes_and_keeps_may_have_a_comment() -> None:
    kept = "ctx->save_for_backward({\n            x,\n            top > 0 ? w : x,  // one of both\n        });"
    text = converted(SOURCE.replace("ctx->save_for_backward({x, w});", kept)).files[UNIT].decode()
    assert "at::Tensor saved_0 = top > 0 ? w : x;\n" in text
    assert "saved_1" not in text.partition("_backward(")[0]


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
        ("ctx->save_for_backward({x, w});", "if (top > 0) ctx->save_for_backward({x, w});", "saves tensors in one of several ways"),
        ("ctx->save_for_backward({x, w});", "keep(ctx, x, w);", "forward does more with its context"),
        ("ctx->save_for_backward({x, w});", "ctx->save_for_backward(listed(x, w));", "whose tensors cannot be counted"),
        ('saved_data["top"] = top;', 'saved_data["top"] = std::exp(top);', "keeps `std::exp(top)`, and"),
        ("ctx->saved_data", "if (top > 1) ctx->mark_dirty({x}); ctx->saved_data", "as written in a branch"),
        ("ctx->saved_data", "ctx->mark_non_differentiable({w}); ctx->saved_data", "which is none of its results"),
        (SAVE, f"{SAVE} ctx->save_for_backward({{w}});", "saves tensors in one of several ways"),
        (SAVE, f'{SAVE} ctx->saved_data["top"] = 2.0;', "keeps top in one of several ways"),
        (SAVE, "ctx->save_for_backward({x, top});", "saves top, which is no tensor"),
        (SAVE, f"ctx->mark_non_differentiable(listed(x)); {SAVE}", "marks as not differentiable what cannot be told"),
        (SAVE, f"for (;;) {{ ctx->mark_dirty({{x}}); }} {SAVE}", "marks x as written in a branch"),
        (SAVE, f"if (x.defined()) ctx->mark_dirty({{w}}); {SAVE}", "marks w as written in a branch"),
        (SAVE, f"if (x.defined()) ctx->mark_dirty({{x}}); else (void)w; {SAVE}", "marks x as written in a branch"),
        (SAVE, f"if (x.defined()) {{ ctx->mark_dirty({{x}}); (void)w; }} {SAVE}", "written in a branch with more in it"),
        (SAVE, f"auto z = x * 2; ctx->mark_dirty({{z}}); {SAVE}", "marks z as written, which is no argument"),
        (SAVE, f"ctx->mark_dirty({{}}); {SAVE}", "marks as written what cannot be told"),
        ("return ramp_kernel(x * w, top);", "return {ramp_kernel(x * w, top)};", "a list in braces as one tensor"),
        ("return ramp_kernel(x * w, top);", "ramp_kernel(x * w, top);", "does not return the same number of tensors"),
        ("grads[0] * w", "grads[3] * w", "asks for a gradient of more results than forward has"),
        ("* saved[0]", "* (ctx->needs_input_grad(5) ? saved[0] : w)", "gradient of an argument that cannot be told"),
        ("* saved[0]", "* (any_variable_requires_grad({w, grads}) ? saved[0] : w)", "whether what was no argument requires"),
        ("return {grads[0] * w * top, grads[0] * saved[0] * top, at::Tensor()};", "", "backward has no `return`"),
        ("return {grads[0] * w * top, grads[0] * saved[0] * top, ", "return {at::Tensor(), at::Tensor(), ", "gives no gradient"),
        ("saved[1];", "saved[7];", "asks for a tensor that was not saved"),
        ("saved[1];", "saved[1]; if (helped(ctx)) w = w + 1;", "backward does more with its context"),
        ('saved_data["top"].toDouble()', 'saved_data["top"].toTuple()', "reads top in a way that is not known"),
        ("static at::Tensor forward", "static std::string forward", "its forward gives std::string"),
        ("grads[0] * saved[0] * top, at::Tensor()}", "at::Tensor()}", "gives 2 gradients for 3 arguments"),
        ("return Ramp::apply(a, b, c);", "return a;", "nothing in its file applies it"),
        ("&ramp);", "&other);", "no function that applies it is registered"),
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


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("listed(x, w)", "returns `listed(x, w)`, whose tensors cannot be counted"),
        ("{}", "its forward returns nothing"),
    ],
)
def test_the_results_of_a_list_are_counted(returned: str, reason: str) -> None:
    source = SOURCE.replace("static at::Tensor forward", "static std::tuple<at::Tensor, at::Tensor> forward")
    (said,) = converted(source.replace("return ramp_kernel(x * w, top);", f"return {returned};")).diagnostics
    assert (said.code, reason in said.message) == ("TSA532", True)


def test_what_is_made_for_the_backward_needs_one_place_where_forward_returns() -> None:
    """It becomes a result more; with a second `return` it might not be made yet."""
    source = SOURCE.replace(SAVE, "auto z = x * 2;\n        ctx->save_for_backward({z, w});")
    assert (
        "return std::make_tuple(ramp_kernel(x * w, top), unshared(z, given));" in converted(source).files[UNIT].decode()
    )
    again = source.replace("return ramp_kernel", "if (top > 1) return ramp_kernel(w, top);\n        return ramp_kernel")
    done = converted(again)
    assert not done.files
    (said,) = done.diagnostics
    assert "it keeps z, and its forward returns in several places" in said.message


@pytest.mark.parametrize(
    ("old", "new", "schema", "body"),
    [
        (SAVE, f"{SAVE} ctx->set_materialize_grads(false);",
         "Tensor? maybe_grad_output, Tensor saved_x, Tensor w, float top",
         "at::Tensor grad_output = maybe_grad_output.value_or(at::Tensor());"),
        ("* saved[0] * top", "* (ctx->needs_input_grad(1) ? saved[0] : w)",
         "Tensor grad_output, Tensor saved_x, Tensor w, float top, bool needs_w",
         "grad_output * (needs_w ? saved_x : w)"),
        ("* saved[0] * top", "* (w.requires_grad() ? saved[0] : w)",
         "Tensor grad_output, Tensor saved_x, Tensor w, float top, bool needs_w",
         "grad_output * (needs_w ? saved_x : w)"),
        ("* saved[0] * top", "* joined(saved) * top", "Tensor grad_output, Tensor saved_x, Tensor w, float top",
         "std::vector<at::Tensor> saved = {saved_x, w};"),
        ("auto w = saved[1];", "auto first = saved[0], w = saved[1];",
         "Tensor grad_output, Tensor first, Tensor w, float top", "grad_output * first * top"),
        ('["top"].toDouble()', '["top"].toDouble() * 2', "Tensor grad_output, Tensor saved_x, Tensor w, float saved_top",
         "const double top = saved_top * 2;"),
    ],
)  # fmt: skip
def test_what_backward_asks_its_context_for_is_an_argument(old: str, new: str, schema: str, body: str) -> None:
    text = converted(SOURCE.replace(old, new, 1)).files[UNIT].decode()
    assert f'm.def("ramp_backward({schema}) -> (Tensor, Tensor)", &ramp_backward);' in text
    assert body in text


def test_a_size_of_the_result_is_kept() -> None:
    """It is worked out from the result where the context is set up."""
    source = SOURCE.replace(
        "return ramp_kernel(x * w, top);",
        'auto y = ramp_kernel(x * w, top);\n        ctx->saved_data["rows"] = y.size(0);\n        return y;',
    )
    done = converted(source.replace("saved[0] * top,", 'saved[0] * ctx->saved_data["rows"].toInt(),'))
    (backward,) = done.backwards
    assert "    ctx.rows = output.size(0)\n" in backward.text
    assert "torch.ops.shop.ramp_backward(grad_output, saved_x, w, ctx.top, ctx.rows)" in backward.text


APART = """
    #include <torch/script.h>

    #include "lists.h"

    using torch::autograd::AutogradContext;
    using torch::autograd::Variable;
    using torch::autograd::variable_list;

    class TopRows : public torch::autograd::Function<TopRows> {
     public:
      static variable_list forward(AutogradContext* ctx, Variable src, Variable weight, int64_t dim,
                                   std::optional<Variable> out) {
        dim = dim < 0 ? src.dim() + dim : dim;
        ctx->saved_data["dim"] = dim;
        ctx->saved_data["shape"] = src.sizes();
        weight = weight.expand_as(src);
        auto best = picked(src, weight, dim, out);
        auto place = places(src.data_ptr<float>(), dim);
        ctx->save_for_backward({src, weight, best});
        ctx->mark_non_differentiable({place});
        if (out.has_value()) {
          ctx->mark_dirty({out.value()});
        }
        return {best, place};
      }
      static variable_list backward(AutogradContext* ctx, variable_list grads) {
        auto grad = grads[0];
        auto saved = ctx->get_saved_variables();
        auto src = saved[0], weight = saved[1];
        auto shape = to_vector(ctx->saved_data["shape"].toIntList());
        auto d_weight = Variable();
        if (torch::autograd::any_variable_requires_grad({src}) || ctx->needs_input_grad(1)) {
          d_weight = grad * saved[2].sum(ctx->saved_data["dim"].toInt());
        }
        return {grad.expand(shape) * weight, d_weight, Variable(), Variable()};
      }
    };

    std::tuple<at::Tensor, at::Tensor> top_rows(at::Tensor src, at::Tensor weight, int64_t dim,
                                                std::optional<at::Tensor> out) {
      src = src.contiguous();
      auto both = TopRows::apply(src, weight, dim, out);
      return {both[0], both[1]};
    }

    static auto registered = torch::RegisterOperators().op("shop::top_rows", &top_rows);
"""
LISTS = """
    #pragma once
    inline std::vector<int64_t> to_vector(const c10::List<int64_t> list) {
      std::vector<int64_t> found;
      for (size_t i = 0; i < list.size(); ++i) found.push_back(list[i]);
      return found;
    }
"""


def apart(source: str = APART) -> Converted:
    """A unit with a helper for lists, its autograd functions taken apart."""
    files = tree({UNIT: source, "csrc/lists.h": LISTS, "shop/__init__.py": "from . import _C\n"})
    return convert_autograd(Registry(files, LAID_OUT), Group("top", (UNIT,)))


def test_what_is_kept_and_written_becomes_an_operator_of_its_own() -> None:
    """The wrapper calls it through the dispatcher; what is kept and no argument is comes back, unshared."""
    done = apart()
    text = done.files[UNIT].decode()
    assert "autograd::" not in text
    assert "class TopRows" not in text
    forward = text[text.index("std::tuple<at::Tensor, at::Tensor, at::Tensor> top_rows_forward(") :]
    assert forward.startswith(
        "std::tuple<at::Tensor, at::Tensor, at::Tensor> top_rows_forward("
        "at::Tensor src, at::Tensor weight, int64_t dim, std::optional<at::Tensor> out) {\n"
        "  const std::vector<at::Tensor> given = {src, weight, out.value_or(at::Tensor())};\n"
        "  dim = dim < 0 ? src.dim() + dim : dim;\n"
        "  weight = weight.expand_as(src);\n"
        "  auto best = picked(src, weight, dim, out);\n"
        "  auto place = places(src.data_ptr<float>(), dim);\n"
        "  return std::make_tuple(best, place, unshared(weight, given));\n"
        "}\n"
    )
    assert (
        "std::tuple<at::Tensor, at::Tensor> top_rows_backward(const at::Tensor& grad, "
        "const at::Tensor& weight, const at::Tensor& saved_2, std::vector<int64_t> shape, int64_t dim, bool needs_src, "
        "bool needs_weight) {\n"
    ) in text
    assert "  if (needs_src || needs_weight) {\n    d_weight = grad * saved_2.sum(dim);\n" in text
    assert "  return std::make_tuple(grad.expand(shape) * weight, d_weight);\n" in text
    assert '"shop::top_rows_forward", "", ivalues.data(), TORCH_ABI_VERSION' in text
    assert "auto both = top_rows_apply(src, weight, dim, out);" in text
    assert (
        'm.def("top_rows_forward(Tensor src, Tensor weight, int dim, Tensor(a!)? out) -> (Tensor, Tensor, Tensor)", '
        "&top_rows_forward);"
    ) in text
    assert (
        '.op("shop::top_rows(Tensor src, Tensor weight, int dim, Tensor(a!)? out) -> (Tensor, Tensor)", &top_rows)'
    ) in text
    assert "to_vector(const std::vector<int64_t> list)" in done.files["csrc/lists.h"].decode()


def test_an_operator_that_writes_gets_a_function_of_python() -> None:
    """register_autograd refuses such operators; torch.autograd.Function can mark what is written."""
    (backward,) = apart().backwards
    assert backward.operator == "shop::top_rows_forward"
    assert backward.text == dedented(
        """
        class _TopRowsForward(torch.autograd.Function):
            @staticmethod
            def forward(ctx, src, weight, dim, out):
                with torch._C._AutoDispatchBelowAutograd():
                    output = torch.ops.shop.top_rows_forward(src, weight, dim, out)
                if out is not None:
                    ctx.mark_dirty(out)
                ctx.save_for_backward(src, output[2], output[0])
                ctx.mark_non_differentiable(output[1], output[2])
                dim = (src.dim() + dim if dim < 0 else dim)
                ctx.dim = dim
                ctx.shape = src.shape
                return output

            @staticmethod
            def backward(ctx, grad, grad_output_1, *_):
                src, weight, saved_2 = ctx.saved_tensors
                gradients = torch.ops.shop.top_rows_backward(grad, weight, saved_2, ctx.shape, ctx.dim, ctx.needs_input_grad[0], ctx.needs_input_grad[1])
                return gradients[0], gradients[1], None, None


        _shop_top_rows_forward = torch.library.Library("shop", "IMPL")
        _shop_top_rows_forward.impl("top_rows_forward", _TopRowsForward.apply, "Autograd")
        """
    )


def test_a_helper_for_lists_that_others_call_too_stays() -> None:
    """Its parameter is a c10::List elsewhere: what saved_data gives is then not known to be a vector."""
    done = apart(APART + "\n    int64_t first(c10::List<int64_t> l) { return to_vector(l)[0]; }\n")
    assert "csrc/lists.h" not in done.files


def test_several_results_stay_with_the_function_that_hands_on() -> None:
    """Nothing is kept but arguments and results: the registered function has the body of forward itself."""
    source = SOURCE.replace("static at::Tensor forward", "static variable_list forward")
    source = source.replace("return ramp_kernel(x * w, top);", "auto y = ramp_kernel(x * w, top); return {y, y + 1};")
    source = source.replace("{x, w}", "{y, w}").replace("ctx->save_for_backward({y, w});", "")
    source = source.replace("return {y, y", "ctx->save_for_backward({y, w}); return {y, y")
    source = source.replace(
        "at::Tensor ramp(const at::Tensor& a, const at::Tensor& b, double c) { return Ramp::apply(a, b, c); }",
        "std::tuple<at::Tensor, at::Tensor> ramp(const at::Tensor& a, const at::Tensor& b, double c) {\n"
        "      auto r = Ramp::apply(a, b, c);\n      return std::make_tuple(r[0], r[1]);\n    }",
    ).replace('-> Tensor"', '-> (Tensor, Tensor)"')
    done = converted(source)
    text = done.files[UNIT].decode()
    assert "dispatcher" not in text
    assert "return std::make_tuple(y, y + 1);" in text
    (backward,) = done.backwards
    assert "ctx.save_for_backward(output[0], w)" in backward.text
    assert "def _backward_ramp(ctx, grad_output_0, grad_output_1):" in backward.text


def test_a_result_that_is_a_written_argument_is_returned_by_python() -> None:
    """`x.mul_(by); ctx->mark_dirty({x}); return x;`: no compiler takes an operator that gives back what it was given."""
    source = SOURCE.replace("ctx->save_for_backward({x, w});", "ctx->mark_dirty({x});")
    source = source.replace("return ramp_kernel(x * w, top);", "x.mul_(top); return x;")
    source = source.replace("auto w = saved[1];", "").replace(
        "grads[0] * w * top, grads[0] * saved[0] * top", "grads[0] * top, at::Tensor()"
    )
    source = source.replace("const auto saved = ctx->get_saved_variables();", "")
    done = converted(source)
    text = done.files[UNIT].decode()
    assert "ramp_forward(Tensor(a!) x, Tensor w, float top) -> ()" in text
    assert "void ramp_forward(" in text
    assert "x.mul_(top); return;" in text
    applied = text[text.index(" ramp_apply(") :]
    assert "return x;" in applied[: applied.index("\n}")]
    (backward,) = done.backwards
    assert backward.written == frozenset({"a"})  # the function that applies it calls it so
    assert (
        """\
        with torch._C._AutoDispatchBelowAutograd():
            torch.ops.shop.ramp_forward(x, w, top)
        ctx.mark_dirty(x)
        ctx.top = top
        return x
"""
        in backward.text
    )
    assert (
        """\
def _ramp_forward(x, w, top):
    _RampForward.apply(x, w, top)


_shop_ramp_forward.impl("ramp_forward", _ramp_forward, "Autograd")
"""
        in backward.text
    )


DISPATCHED = """
    #include <torch/csrc/autograd/custom_function.h>
    #include <torch/library.h>
    namespace tide {
    at::Tensor wave(const at::Tensor& x) {
      static auto op = c10::Dispatcher::singleton().findSchemaOrThrow("shop::wave", "").typed<decltype(wave)>();
      return op.call(x);
    }
    namespace {
    struct Wave : public torch::autograd::Function<Wave> {
      static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& x) {
        at::AutoDispatchBelowADInplaceOrView guard;
        ctx->save_for_backward({x});
        return wave(x);
      }
      static torch::autograd::variable_list backward(
          torch::autograd::AutogradContext* ctx, torch::autograd::variable_list grads) {
        return {grads[0] * ctx->get_saved_variables()[0].cos()};
      }
    };
    }
    at::Tensor wave_autograd(const at::Tensor& x) { return Wave::apply(x); }
    TORCH_LIBRARY_IMPL(shop, KEY, m) { m.impl("wave", wave_autograd); }
    }
"""


@pytest.mark.parametrize("key", ["Autograd", "AutogradCUDA"])
def test_a_kernel_for_autograd_keeps_its_key(key: str) -> None:
    """What it applies is an operator of its own; names are spelled as what is outside of their namespace does."""
    done = converted(DISPATCHED.replace("KEY", key))
    text = done.files[UNIT].decode()
    assert "at::Tensor wave_autograd(const at::Tensor& x) { return wave_apply(x); }" in text
    assert f'TORCH_LIBRARY_IMPL(shop, {key}, m) {{ m.impl("wave", wave_autograd); }}' in text
    assert 'm.def("wave_forward(Tensor x) -> Tensor", &tide::wave_forward);' in text
    assert 'm.def("wave_backward(Tensor grad_output, Tensor saved_x) -> Tensor", &tide::wave_backward);' in text
    (backward,) = done.backwards
    assert (backward.operator, backward.caller) == ("shop::wave_forward", "shop::wave")
    assert [one.code for one in done.diagnostics] == ["TSA531"]


def test_a_class_that_not_every_build_has_keeps_its_conditions() -> None:
    """What its functions become is registered, and joined in Python, where they are compiled."""
    source = DISPATCHED.replace("KEY", "Autograd").replace("namespace tide {", "#ifdef WAVES\n    namespace tide {", 1)
    done = converted(f"{source.rstrip()}\n    #endif\n")
    text = done.files[UNIT].decode()
    assert "#ifdef WAVES\nTORCH_LIBRARY_FRAGMENT(shop, m) {\n" in text
    assert text.endswith("}\n#endif\n")
    (backward,) = done.backwards
    assert (
        'if hasattr(torch.ops.shop, "wave_forward"):\n'
        '    torch.library.register_autograd("shop::wave_forward", _backward_wave_forward, '
    ) in backward.text


def test_a_kernel_for_a_device_that_applies_one_is_left() -> None:
    """Autograd would have seen past it: what the class does there is not known."""
    done = converted(DISPATCHED.replace("KEY", "CPU"))
    assert "or for Autograd" in done.diagnostics[0].message
    assert done.backwards == ()


def test_what_is_registered_by_its_name_says_that_it_gives_back_its_argument() -> None:
    """`m.def("ramp", &ramp)` gets a schema, which has to say what torch took for granted of a function without one."""
    source = SOURCE.replace("ctx->save_for_backward({x, w});", "ctx->mark_dirty({x});")
    source = source.replace("return ramp_kernel(x * w, top);", "x.mul_(top); return x;")
    source = source.replace("auto w = saved[1];", "").replace(
        "grads[0] * w * top, grads[0] * saved[0] * top", "grads[0] * top, at::Tensor()"
    )
    source = source.replace("const auto saved = ctx->get_saved_variables();", "")
    source = source.replace('"ramp(Tensor x, Tensor w, float top) -> Tensor"', '"ramp"')
    text = converted(source).files[UNIT].decode()
    assert 'm.def("ramp(Tensor(a!) a, Tensor b, float c) -> Tensor(a!)", &ramp);' in text


def test_a_written_argument_among_other_results_is_returned_by_python() -> None:
    """`return {x, y};`: the operator gives y alone, whose place in Python is another one."""
    source = SOURCE.replace("static at::Tensor forward", "static variable_list forward").replace(
        "ctx->save_for_backward({x, w});", "ctx->mark_dirty({x});"
    )
    source = source.replace(
        "return ramp_kernel(x * w, top);", "x.mul_(top); auto y = x + w; ctx->save_for_backward({y}); return {x, y};"
    )
    source = source.replace("return Ramp::apply(x, w, top);", "return Ramp::apply(x, w, top)[0];")
    source = source.replace("auto w = saved[1];", "").replace(
        "grads[0] * w * top, grads[0] * saved[0] * top", "grads[0] * top + saved[0], grads[1]"
    )
    done = converted(source)
    text = done.files[UNIT].decode()
    assert "ramp_forward(Tensor(a!) x, Tensor w, float top) -> Tensor" in text
    assert "return y;" in text
    assert "return {x, result_1};" in text
    (backward,) = done.backwards
    assert "ctx.save_for_backward(output)\n" in backward.text
    assert "return x, output\n" in backward.text
    assert "    return results[1]\n" in backward.text


def test_a_value_whose_name_the_body_takes_gets_another() -> None:
    """`auto top = twice(ctx->saved_data["top"].toDouble())` would declare its own argument anew."""
    source = SOURCE.replace(
        'const double top = ctx->saved_data["top"].toDouble();', 'double top = 2 * ctx->saved_data["top"].toDouble();'
    )
    text = converted(source).files[UNIT].decode()
    assert "double top = 2 * saved_top;" in text
    assert "const at::Tensor& w, double saved_top) {" in text


def test_a_list_of_gradients_may_have_any_name() -> None:
    """`grad_output` is what the only gradient would be called."""
    text = converted(SOURCE.replace("grads", "grad_output")).files[UNIT].decode()
    assert "return std::make_tuple(grad_output_0 * w * top, grad_output_0 * saved_x * top);" in text


def test_a_lambda_may_call_what_applies_it() -> None:
    """Its statement says which namespace the operators are in."""
    source = SOURCE.replace(
        "&ramp);", "[](const at::Tensor& x, const at::Tensor& w, double t) { return ramp(x, w, t); });"
    )
    (backward,) = converted(source).backwards
    assert backward.operator == "shop::ramp_forward"
    assert backward.caller == "shop::ramp"


def test_the_function_keeps_the_types_that_others_declare() -> None:
    """A header declares the registered function: its symbol stays what it was, and forward gets what it took."""
    source = SOURCE.replace(
        "const at::Tensor& x, const at::Tensor& w, double top)", "at::Tensor x, at::Tensor w, float top)"
    )
    source = source.replace(
        "return ramp_kernel(x * w, top);", "w = w.contiguous();\n        return ramp_kernel(x * w, top);"
    )
    text = converted(source.replace("save_for_backward({x, w});", "save_for_backward({x});").replace(
        "auto w = saved[1];", "auto w = saved[0];")).files[UNIT].decode()  # fmt: skip
    assert (
        "at::Tensor ramp(const at::Tensor& x, const at::Tensor& b, double c) {\n"
        "  at::Tensor w = b;\n  float top = c;\n  w = w.contiguous();\n  return ramp_kernel(x * w, top);\n}\n"
    ) in text
