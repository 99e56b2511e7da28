"""Forms of C++ autograd functions: own members, templates, lists of tensors, and classes that apply each other."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from torch_stabilize.bindings.autograd.convert import Converted
from torch_stabilize.migration.kernels import without_classes
from torch_stabilize.model import Diagnostic, Severity, SiteCount, Span
from torch_stabilize.rules.engine import Rewritten

from tests.bindings.test_autograd import SAVE, SOURCE, UNIT, converted

CLASS = "struct Ramp : public torch::autograd::Function<Ramp> {"
GIVES = "return {grads[0] * w * top, grads[0] * saved[0] * top, at::Tensor()};"


def made(*replaced: tuple[str, str]) -> Converted:
    """The unit with these texts in place of others."""
    source = SOURCE
    for old, new in replaced:
        assert old in source
        source = source.replace(old, new)
    return converted(source)


def text_of(done: Converted) -> str:
    """The unit afterwards, in single blanks."""
    return re.sub(r"\s+", " ", done.files[UNIT].decode())


def test_helpers_and_constants_stay_in_a_class_of_their_own() -> None:
    """What was in the class names them by it; a member of something else has no part in it."""
    members = """
      // how steep it is
      static constexpr double kSlope = 2.0;
      static at::Tensor scaled(const at::Tensor& t) { return t * kSlope; }
     public:
    """
    done = made(
        (CLASS, CLASS + members),
        ("return ramp_kernel(x * w, top);", "return ramp_kernel(scaled(x) * w, top * kSlope + other.kSlope);"),
        ("grads[0] * w * top", "scaled(grads[0]) * w * top"),
    )
    text = text_of(done)
    assert "struct Ramp { // how steep it is static constexpr double kSlope = 2.0;" in text
    assert "{ return t * kSlope; } }; " in text
    assert "return ramp_kernel(Ramp::scaled(x) * b, top * Ramp::kSlope + other.kSlope);" in text.replace("* w,", "* b,")
    assert "Ramp::scaled(grad_output) * w * top" in text
    assert "autograd" not in text.replace("autograd_", "")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ("static double top(double x) { return x; }", "top is a member of it and a local variable"),
        ("static void keep(AutogradContext* c) {}", "it has members over AutogradContext"),
        ("static at::Tensor forward(AutogradContext* ctx) { return {}; }", "several of forward or backward"),
    ],
)
def test_members_that_keep_a_class(members: str, reason: str) -> None:
    """One message, with the reason."""
    (said,) = made((CLASS, CLASS + members)).diagnostics
    assert said.code == "TSA532"
    assert reason in said.message


def test_a_class_that_another_applies_in_its_backward() -> None:
    """A second derivative: the operator of the inner class is called through the dispatcher, with its own backward."""
    inner = """
    struct Slope : public torch::autograd::Function<Slope> {
      static at::Tensor forward(AutogradContext* ctx, const at::Tensor& g, const at::Tensor& w) {
        ctx->save_for_backward({g, w});
        return g * w;
      }
      static variable_list backward(AutogradContext* ctx, variable_list grads) {
        auto kept = ctx->get_saved_variables();
        return {grads[0] * kept[1], grads[0] * kept[0]};
      }
    };
    """
    done = made((CLASS, inner + CLASS), ("grads[0] * w * top", "Slope::apply(grads[0], w) * top"))
    text = text_of(done)
    assert [one.operator for one in done.backwards] == ["shop::slope_forward", "shop::ramp"]
    assert "slope_apply(grad_output, w) * top" in text
    assert "Slope" not in text
    done = made((CLASS, inner.replace("return g * w;", "ctx->keep(g); return g * w;") + CLASS),
                ("grads[0] * w * top", "Slope::apply(grads[0], w) * top"))  # fmt: skip
    assert [one.message.partition(": ")[2] for one in done.diagnostics] == [
        "its forward does more with its context than to save and to mark",
        "it applies Slope, which is not converted",
    ]


def test_a_class_that_applies_itself_stays() -> None:
    """Its backward would be registered for itself."""
    (said,) = made(("grads[0] * w * top", "Ramp::apply(grads[0], w, top)")).diagnostics
    assert "it applies itself" in said.message


def test_tensors_of_saved_data_are_saved_for_backward() -> None:
    """Arguments and what forward makes; values that may be missing are optionals."""
    done = made(
        (SAVE, 'auto both = x + w; ctx->saved_data["x"] = x; ctx->saved_data["both"] = both;'),
        ("const auto saved = ctx->get_saved_variables();", 'auto x = ctx->saved_data["x"].toTensor();'),
        ("auto w = saved[1];", 'auto w = ctx->saved_data["both"].toTensor();'),
        ("saved[0]", "x"),
    )
    (backward,) = done.backwards
    assert "ctx.save_for_backward(x, output[1])" in backward.text
    assert "x, w = ctx.saved_tensors" in backward.text
    text = text_of(done)
    assert "std::make_tuple(ramp_kernel(x * w, top), unshared(both, given))" in text
    assert "ramp_backward(Tensor grad_output, Tensor x, Tensor w, float top)" in text


def test_values_that_may_be_missing() -> None:
    """An optional number is one in the operator of backward."""
    done = made(
        ("const at::Tensor& w, double top) {", "const at::Tensor& w, std::optional<double> top) {"),
        ("x * w, top)", "x * w, top.value_or(1.0))"),
        ("const double top = ctx->saved_data[\"top\"].toDouble();",
         "auto top = ctx->saved_data[\"top\"].toOptional<double>().value_or(1.0);"),
        ("const at::Tensor& b, double c)", "const at::Tensor& b, std::optional<double> c)"),
        ("float top) -> Tensor", "float? top) -> Tensor"),
    )  # fmt: skip
    assert "float? saved_top) -> (Tensor, Tensor)" in text_of(done)
    assert "auto top = saved_top.value_or(1.0);" in text_of(done)


def test_a_backward_that_only_refuses_raises_in_python() -> None:
    """There is no operator for it."""
    start, end = SOURCE.index("        const auto saved"), SOURCE.index("at::Tensor()};") + len("at::Tensor()};\n")
    done = converted(
        SOURCE[:start] + '        TORCH_CHECK(false, "no slope "\n          "of a ramp");\n' + SOURCE[end:]
    )
    (backward,) = done.backwards
    assert 'def _backward_ramp(ctx, grad_output_0):\n    raise RuntimeError("no slope of a ramp")' in backward.text
    assert "ramp_backward" not in text_of(done)


def test_gradients_that_a_class_works_out_itself_keep_it() -> None:
    """torch::autograd::grad has no stable form."""
    (said,) = made(("auto w = saved[1];", "auto w = torch::autograd::grad({saved[1]}, {saved[0]})[0];")).diagnostics
    assert "its backward works out gradients itself, by grad()" in said.message


# -- lists ---------------------------------------------------------------------------------------------------------

LISTS = """
    #include <torch/torch.h>
    using namespace torch::autograd;

    struct Sum : public Function<Sum> {
      static at::Tensor forward(AutogradContext* ctx, at::TensorList rows, const at::Tensor& w) {
        ctx->save_for_backward({w});
        ctx->saved_data["n"] = static_cast<int64_t>(rows.size());
        return rows[0] * w;
      }
      static variable_list backward(AutogradContext* ctx, variable_list grads) {
        auto w = ctx->get_saved_variables()[0];
        variable_list found;
        for (int64_t i = 0; i < ctx->saved_data["n"].toInt(); ++i) found.push_back(grads[0] * w);
        found.push_back(grads[0].sum());
        return found;
      }
    };

    at::Tensor sum(at::TensorList rows, const at::Tensor& w) { return Sum::apply(rows, w); }

    TORCH_LIBRARY(shop, m) {
      m.def("sum(Tensor[] rows, Tensor w) -> Tensor", &sum);
    }
"""


def test_tensors_of_a_list_have_gradients() -> None:
    """One list has the gradients of all arguments; Python takes it apart."""
    (backward,) = converted(LISTS).backwards
    assert "ctx.count_rows = len(rows)" in backward.text
    assert "ctx.n = len(rows)" in backward.text
    assert "return list(gradients[0:ctx.count_rows]), gradients[ctx.count_rows]" in backward.text
    assert "sum_backward(Tensor grad_output, Tensor w, int n) -> Tensor[]" in text_of(converted(LISTS))


def test_tensors_of_a_vector_have_none() -> None:
    """As torch has it: a std::vector is one argument without a gradient."""
    source = LISTS.replace("at::TensorList rows", "std::vector<at::Tensor> rows")
    gives = source.index("        variable_list found;"), source.index("return found;") + len("return found;")
    done = converted(source[: gives[0]] + "        return {at::Tensor(), grads[0] * w};" + source[gives[1] :])
    (backward,) = done.backwards
    assert "return [None] * ctx.count_rows, gradients\n" in backward.text
    (said,) = done.diagnostics
    assert "tensors of rows had no gradient and have none" in said.help


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Sum::apply(rows, w)", "Sum::apply(others(rows), w)", "whether those tensors get gradients cannot be told"),
        ("grads[0] * w)", "ctx->needs_input_grad(0) ? grads[0] * w : w)", "an argument that cannot be told"),
        ("at::TensorList rows, const at::Tensor& w) {\n        ctx",
         "c10::List<at::Tensor> rows, const at::Tensor& w) {\n        ctx", "takes rows, a list of tensors that is not read"),
    ],
)  # fmt: skip
def test_lists_that_keep_a_class(old: str, new: str, reason: str) -> None:
    """One message, with the reason."""
    (said,) = converted(LISTS.replace(old, new)).diagnostics
    assert (said.code, reason in said.message) == ("TSA532", True), said.message


def test_a_list_of_results_that_cannot_be_counted() -> None:
    """The operator gives the list, and its backward takes one."""
    source = LISTS.replace("static at::Tensor forward", "static variable_list forward")
    source = source.replace(
        "return rows[0] * w;", "variable_list all; for (auto& r : rows) all.push_back(r); return all;"
    )
    source = source.replace("return Sum::apply(rows, w);", "return Sum::apply(rows, w)[0];")
    (backward,) = converted(source).backwards
    assert backward.operator == "shop::sum_forward"
    assert "def _backward_sum_forward(ctx, grads):" in backward.text
    text = text_of(converted(source))
    assert "sum_forward(Tensor[] rows, Tensor w) -> Tensor[]" in text
    assert "return torch::stable::detail::to<std::vector<at::Tensor>>(ivalues[0]);" in text
    (said,) = converted(source.replace("({w})", "({w * 2})")).diagnostics
    assert "returns a list whose tensors cannot be counted" in said.message


def test_a_list_that_is_saved_as_a_whole() -> None:
    """It is one parameter of the backward."""
    source = LISTS.replace("({w})", "(rows.vec())").replace("get_saved_variables()[0]", "get_saved_variables()[1]")
    (backward,) = converted(source).backwards
    assert "ctx.save_for_backward(*rows)" in backward.text
    assert "(*saved_rows,) = ctx.saved_tensors" in backward.text
    assert "sum_backward(Tensor grad_output, Tensor[] saved_rows, int n)" in text_of(converted(source))


# -- templates -----------------------------------------------------------------------------------------------------

TEMPLATES = """
    #include <torch/torch.h>
    using namespace torch::autograd;

    template <int N, typename T = float>
    struct Power : public Function<Power<N, T>> {
      static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x) {
        ctx->save_for_backward({x});
        return x.pow(N).to(c10::CppTypeToScalarType<T>::value);
      }
      static variable_list backward(AutogradContext* ctx, variable_list grads) {
        auto x = ctx->get_saved_variables()[0];
        return {grads[0] * x.pow(N - 1) * N};
      }
    };

    at::Tensor square(const at::Tensor& x) { return Power<2>::apply(x); }
    at::Tensor cube(const at::Tensor& x) { return Power<3, double>::apply(x); }

    TORCH_LIBRARY(shop, m) {
      m.def("square(Tensor x) -> Tensor", &square);
      m.def("cube(Tensor x) -> Tensor", &cube);
    }
"""


def test_a_template_is_written_out_for_what_it_is_applied_with() -> None:
    """A class for each list of arguments, defaults included."""
    done = converted(TEMPLATES)
    assert [one.operator for one in done.backwards] == ["shop::square", "shop::cube"]
    text = text_of(done)
    assert "return x.pow(2).to(c10::CppTypeToScalarType<float>::value);" in text
    assert "return x.pow(3).to(c10::CppTypeToScalarType<double>::value);" in text
    assert "grad_output * x.pow(3 - 1) * 3" in text
    assert "template" not in text
    assert "Power" not in text


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Power<3, double>::apply(x)", "Power<3, scalar_t>::apply(x)", "<3, scalar_t>, is not the same everywhere"),
        ("Power<3, double>::apply(x)", "x.pow(3) + typename_of<Power<3>>()", "named for more than to apply it"),
        ("return {grads[0] * x.pow(N - 1) * N};", "return {grads[0] * x.pow(ctx->power())};", "does more with its context"),
        ("Power<3, double>::apply(x)", "Power<3, double>::apply(Power_2_float)", "there is a Power_2_float already"),
    ],
)  # fmt: skip
def test_a_template_that_stays_is_one_message(old: str, new: str, reason: str) -> None:
    """It stays as it is, whatever it is applied with."""
    done = converted(TEMPLATES.replace(old, new))
    (said,) = done.diagnostics
    assert (said.code, said.subject, reason in said.message) == ("TSA532", "Power", True), said.message
    assert not done.files


def test_names_in_a_class_that_stays_are_not_reported_one_by_one() -> None:
    """The message of the class is the one line for it."""
    inside, outside = Span(20, 30), Span(90, 95)
    found = [Diagnostic("TSA190", Severity.ERROR, "a.cpp", span, "has no stable form") for span in (inside, outside)]
    other = Diagnostic("TSA904", Severity.ERROR, "a.cpp", inside, "may be a tensor")
    rewritten = {"a.cpp": Rewritten((), (*found, other), frozenset(), frozenset(), SiteCount(), ())}
    said = Diagnostic("TSA532", Severity.ERROR, "a.cpp", Span(10, 50), "Ramp cannot become operators")
    assert without_classes(rewritten, [said])["a.cpp"].diagnostics == (found[1], other)
    note = replace(said, severity=Severity.NOTE)
    assert without_classes(rewritten, [note]) == rewritten


BY_VALUE = ("AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w, double top)",
            "AutogradContext* ctx, at::Tensor x, at::Tensor w, double top)")  # fmt: skip
GIVEN = "return ramp_kernel(x * w, top);"
FIX = (
    "struct Ramp :",
    "static void fix(at::Tensor& t) { t = t * 2; }\n    static void ask(const at::Tensor& t);\n    struct Ramp :",
)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ("std::tie(x, w) = prepared(x, w);", "output[1], output[2]"),
        ("std::swap(x, w);", "output[1], output[2]"),
        ("fix(x);", "output[1], w"),
        ("auto* p = &x; *p = w;", "output[1], w"),
        ("at::Tensor& p = x; p = w;", "output[1], w"),
        ("(x) = w;", "output[1], w"),
        ("x.swap(w);", "output[1], w"),
        # what only reads them
        ("std::tie(a, b) = prepared(x, w);", "x, w"),
        ("ask(x); const auto& p = x; auto q = x; q = w;", "x, w"),
        ("// x = w;\n", "x, w"),
        ('TORCH_CHECK(x.dim(), "x = w; return ctx");', "x, w"),
    ],
)
def test_arguments_that_get_another_value_before_they_are_saved(change: str, kept: str) -> None:
    """What is saved is what forward made of them then, and no argument."""
    (backward,) = made(BY_VALUE, FIX, (SAVE, f"{change} {SAVE}")).backwards
    assert f"ctx.save_for_backward({kept})" in backward.text


@pytest.mark.parametrize("change", ["top *= 2;", "++top;", "double& t = top; t = 4;", "std::exchange(top, 3.0);"])
def test_a_number_that_is_changed_before_it_is_kept(change: str) -> None:
    """Python would keep the argument as it was."""
    (said,) = made(('ctx->saved_data["top"] = top;', f'{change} ctx->saved_data["top"] = top;')).diagnostics
    assert "top, which gets other values, cannot be worked out in Python" in said.message


def test_returns_of_lambdas_are_none_of_forward() -> None:
    """Neither where something is kept behind the results, nor where several are given."""
    twice = "auto twice = [](const at::Tensor& t) { return t * 2; };"
    keep = ("ctx->save_for_backward({x, w});", "auto h = x + w; ctx->save_for_backward({h, w});")
    text = text_of(made(keep, (GIVEN, f"{twice} return map([&](int i) {{ return twice(h)[i]; }});")))
    assert f"{twice} return std::make_tuple(map([&](int i) {{ return twice(h)[i]; }}), h);" in text


def test_returns_of_lambdas_are_none_of_backward() -> None:
    """They keep what they give."""
    gives = "auto f = [&](const at::Tensor& g) { if (g.dim() > 1) return g; return g * 2; };"
    text = text_of(made((GIVES, f"{gives} return {{f(grads[0]) * w, grads[0], at::Tensor()}};")))
    assert f"{gives} return std::make_tuple(f(grad_output) * w, grad_output);" in text


@pytest.mark.parametrize(
    ("place", "comment"),
    [
        ("auto w = saved[1];", "// ctx keeps both, auto w = saved[0];\n"),
        ("auto w = saved[1];", "/* grads[3] is no gradient; return {}; */"),
        (SAVE, "// ctx->save_for_backward({w});\n"),
        (GIVEN, "// return early; ctx->mark_dirty({x})\n"),
    ],
)
def test_comments_are_no_code(place: str, comment: str) -> None:
    """They stay as they are."""
    done = made((place, f"{comment} {place}"))
    assert " ".join(comment.split()) in text_of(done)
    without = text_of(done).replace(" ".join(comment.split()) + " ", "")
    assert without.strip() == text_of(made()).strip()
