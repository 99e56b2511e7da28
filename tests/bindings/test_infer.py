"""What a C++ signature, its defaults and py::arg say about the schema of an operator that has none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch_stabilize.bindings.schemas.defaults import schema_default
from torch_stabilize.repository.layout import Library
from torch_stabilize.surface.schema import parse_schema

from tests.bindings.trees import LAYOUT, Migrated, migrate

PATH = "csrc/ext.cpp"


def module(functions: str, statements: str, **headers: str) -> Migrated:
    """A Python module migrated, beside which `headers` stand."""
    text = f"#include <torch/extension.h>\n{functions}\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {{\n{statements}\n}}\n"
    layout = replace(LAYOUT, legacy_bindings=(PATH,), libraries=(Library("_C", (PATH,)),))
    return migrate({PATH: text, **{f"csrc/{name}.h": header for name, header in headers.items()}}, [PATH], layout)


@pytest.mark.parametrize(
    ("kind", "default", "written"),
    [
        ("float", "1.5f", "1.5"),
        ("int", "0x10", "16"),
        ("int", "static_cast<int64_t>(3)", "3"),
        ("bool", "false", "False"),
        ("str", 'std::string("shift")', '"shift"'),
        ("str", "std::string()", '""'),
        ("Tensor?", "py::none()", "None"),
        ("int?", "c10::optional<int64_t>(4)", "4"),
        ("float[]", "std::vector<float>{0.5f, 1}", "[0.5, 1]"),
        ("int[]", "std::vector<int64_t>()", "[]"),
        ("int[2]", "1", "1"),
        ("ScalarType", "at::ScalarType::BFloat16", "bfloat16"),
        ("ScalarType?", "torch::kFloat32", "float"),
        ("int", "kWidth", None),
        ("int[]", "1", None),
    ],
)
def test_defaults(kind: str, default: str, written: str | None) -> None:
    argument = parse_schema(f"f({kind} x) -> ()").arguments[0]
    assert schema_default(default, argument.type) == written


@pytest.mark.parametrize(
    ("functions", "statement", "schema"),
    [
        (
            "void f(at::Tensor x, bool up) {}",
            'm.def("f", &f, py::arg("x"), py::kw_only(), py::arg("up") = true);',
            "f(Tensor x, *, bool up=True) -> ()",
        ),
        ("void f(at::Tensor in) {}", 'm.def("f", &f);', "f(Tensor in_) -> ()"),
        ("void f(at::Tensor x_, at::Tensor _x) {}", 'm.def("f", &f);', "f(Tensor x, Tensor arg1) -> ()"),
        ("void f(at::Tensor x, int n) {}", 'm.def("f", &f, py::arg(), py::arg("count"));', "f(Tensor x, int count) -> ()"),
        ("template <typename T> T f(T x) { return x; }", 'm.def("f", &f<double>);', "f(float x) -> float"),
        ("", 'm.def("f", [](const at::Tensor& x) { return x.size(0); });', "f(Tensor x) -> int"),
        ("", 'm.def("f", [](at::Tensor x, double y) { return x.mul(y); });', "f(Tensor x, float y) -> Tensor"),
        ("", 'm.def("f", [](at::Tensor x) { x.zero_(); });', "f(Tensor! x) -> ()"),
    ],
)  # fmt: skip
def test_schemas_of_python_functions(functions: str, statement: str, schema: str) -> None:
    assert module(functions, statement).messages("TSA504") == [f"inferred `{schema}`"]


@pytest.mark.parametrize(
    ("signature", "schema"),
    [
        ("void run(at::Tensor& x, const at::Tensor& out)", "run(Tensor! x, Tensor out) -> ()"),
        ("at::Tensor run(at::Tensor x, at::Tensor& y)", "run(Tensor x, Tensor! y) -> Tensor"),
    ],
)
def test_a_reference_is_marked_where_nothing_is_known(signature: str, schema: str) -> None:
    made = module(f"{signature} {{ {_HANDED_ON} }}", 'm.def("run", &run);')
    assert made.messages("TSA504") == [f"inferred `{schema}`"]
    assert "TSA525" not in made.codes


_HANDED_ON = "params.x = x.data_ptr();"


@pytest.mark.parametrize(
    "function",
    [
        "void run(at::Tensor x, at::Tensor out) { launch(x.data_ptr(), out.data_ptr()); }",  # a name proves nothing
        "void run(const at::Tensor& x) { launch(x.data_ptr()); }",
        "void run(at::Tensor x) { print(x.sizes()); }",
    ],
)
def test_an_operator_without_an_effect_is_an_error(function: str) -> None:
    (message,) = module(function, 'm.def("run", &run);').messages("TSA525")
    assert "returns nothing and marks nothing as written" in message


def test_a_function_of_numbers_may_return_nothing() -> None:
    assert "TSA525" not in module("void run(int64_t n) { start(n); }", 'm.def("run", &run);').codes


def test_an_instance_of_a_template_is_boxed_as_what_it_takes() -> None:
    made = module("template <typename T> T f(T x) { return x; }", 'm.def("f", &f<float>);')
    assert "static double f_boxed(double x) {" in made.text(PATH)
    assert "f<float>(static_cast<float>(x))" in made.text(PATH)


@pytest.mark.parametrize("kind", ["std::vector<std::tuple<int64_t, int64_t>>", "std::tuple<int64_t, double>"])
def test_tuples_that_no_adapter_takes_apart_have_no_schema_type(kind: str) -> None:
    made = module(f"int64_t f({kind} spans) {{ return 0; }}", 'm.def("f", &f);')
    assert not made.messages("TSA504")
    assert "has no schema type" in " ".join(one.message for one in made.diagnostics)


@pytest.mark.parametrize(
    "kind",
    [
        "std::vector<std::pair<double, int64_t>>",
        "std::tuple<int64_t, std::vector<std::vector<std::pair<double, int64_t>>>>",
        "std::optional<std::tuple<int64_t, double>>",
    ],
)
def test_tuples_in_lists_that_are_returned_have_no_schema_type(kind: str) -> None:
    made = module(f"{kind} f(int64_t n) {{ return {{}}; }}", 'm.def("f", &f);')
    assert not made.messages("TSA504")
    assert "has no schema type" in " ".join(one.message for one in made.diagnostics)


def test_a_lambda_is_boxed_as_what_it_takes() -> None:
    made = module("", 'm.def("f", [](int64_t n, float by) -> float { return n * by; });')
    assert "static float f_impl(int64_t n, float by) { return n * by; }" in made.text(PATH)
    assert "static double f_impl_boxed(int64_t n, double by) {" in made.text(PATH)
    assert 'm.impl("f", TORCH_BOX(&f_impl_boxed));' in made.text(PATH)


@pytest.mark.parametrize(
    ("kind", "passed", "made"),
    [
        ("const std::tuple<int32_t, int32_t>&", "const std::vector<int64_t>&", "std::tuple<int32_t, int32_t>(static_cast<int32_t>(n[0]), static_cast<int32_t>(n[1]))"),
        ("std::tuple<int64_t, int64_t>", "const std::vector<int64_t>&", "std::tuple<int64_t, int64_t>(n[0], n[1])"),
        ("std::optional<std::tuple<int, int>>", "const std::optional<std::vector<int64_t>>&", "std::make_tuple(static_cast<int>((*n)[0]), static_cast<int>((*n)[1]))"),
    ],
)  # fmt: skip
def test_tuples_arrive_as_lists(kind: str, passed: str, made: str) -> None:
    text = " ".join(module(f"void f({kind} n) {{}}", 'm.def("f", &f);').text(PATH).split())
    assert f"f_boxed({passed} n)" in text.replace("( ", "(")
    assert made in text.replace("( ", "(")


@pytest.mark.parametrize("kind", ["using Mode = int64_t;", "typedef int64_t Mode;", "using Mode = uint;"])
def test_a_header_that_stays_says_what_a_type_is(kind: str) -> None:
    """Nobody who calls a registered function sees the C++ default, so that one without a form for schemas goes."""
    made = module(
        '#include "modes.h"\nvoid f(at::Tensor x, Mode mode = PLAIN) {}',
        'm.def("f", &f);',
        modes=f"#pragma once\n{kind}\nconst Mode PLAIN = 0;\n",
    )
    assert 'm.def("f(Tensor x, int mode) -> ()");' in made.text(PATH)


def test_a_reference_to_an_optional_constant_is_bound_to_a_variable_of_its_own() -> None:
    made = module("void f(std::optional<const at::Tensor>& bias) {}", 'm.def("f", &f);')
    text = " ".join(made.text(PATH).split())
    assert "std::optional<const torch::stable::Tensor> bias_value;" in text
    assert "if (bias.has_value()) bias_value.emplace(*bias); f(bias_value); }" in text
    by_const = module("void f(const std::optional<const at::Tensor>& bias) {}", 'm.def("f", &f);').text(PATH)
    assert "bias_value" not in by_const


@pytest.mark.parametrize("inner", ["const at::Tensor", "at::Tensor const"])
def test_an_optional_constant_is_boxed_as_what_it_holds(inner: str) -> None:
    text = " ".join(module(f"void f(c10::optional<{inner}> bias) {{}}", 'm.def("f", &f);').text(PATH).split())
    assert "static void f_boxed(std::optional<torch::stable::Tensor> bias) { f(bias); }" in text.replace("( ", "(")
    assert 'm.def("f(Tensor? bias) -> ()");' in text


def test_an_adapter_stands_under_the_condition_of_its_registration() -> None:
    made = module(
        "bool f(int n) { return n; }\n#ifdef WITH_CUDA\nbool g(int n) { return n; }\n#endif",
        'm.def("f", &f);\n#ifdef WITH_CUDA\nm.def("g", &g);\n#endif',
    )
    text = made.text(PATH)
    adapter = text.index("#ifdef WITH_CUDA\n// TORCH_BOX cannot pass int n.\nstatic bool g_boxed(int64_t n) {")
    assert (
        text.index("static bool f_boxed(")
        < adapter
        < text.index("#endif", adapter)
        < text.index("STABLE_TORCH_LIBRARY")
    )


def test_a_pair_is_returned_as_a_tuple_of_what_the_boxing_knows() -> None:
    made = module("std::pair<at::Tensor, float> f(at::Tensor x) { return {x, 1}; }", 'm.def("f", &f);')
    assert "static std::tuple<torch::stable::Tensor, double> f_boxed(" in made.text(PATH)
    assert "std::make_tuple(result.first, static_cast<double>(result.second))" in made.text(PATH)


@pytest.mark.parametrize(
    ("functions", "schema"),
    [
        ("at::Tensor f(at::Tensor x) { x.mul_(2); return x; }", "f(Tensor(a!) x) -> Tensor(a!)"),
        ("at::Tensor& f(at::Tensor& x) { return x.mul_(2).add_(1); }", "f(Tensor(a!) x) -> Tensor(a!)"),
        ("at::Tensor f(at::Tensor o, at::Tensor x) { return at::mul_out(o, x, x); }",
         "f(Tensor(a!) o, Tensor x) -> Tensor(a!)"),
        ("std::tuple<at::Tensor, at::Tensor> f(at::Tensor q, at::Tensor k) { q.add_(1); k.add_(2); return {q, k}; }",
         "f(Tensor(a!) q, Tensor(b!) k) -> (Tensor(a!), Tensor(b!))"),
        ("std::tuple<at::Tensor, at::Tensor> f(at::Tensor q, at::Tensor k) {\n"
         "  k.add_(2); return std::make_tuple(q * 2, std::move(k)); }", "f(Tensor q, Tensor(a!) k) -> (Tensor, Tensor(a!))"),
        ("at::Tensor f(at::Tensor x) { x.mul_(2); return x * 2; }", "f(Tensor! x) -> Tensor"),
        ("at::Tensor f(at::Tensor x) { if (x.dim()) return x; x.mul_(2); return x * 2; }", "f(Tensor! x) -> Tensor"),
        ("at::Tensor f(at::Tensor x) { return x.add(2); }", "f(Tensor x) -> Tensor"),
    ],
)  # fmt: skip
def test_what_is_written_and_given_back(functions: str, schema: str) -> None:
    """A result that is an argument says so, where every `return` gives it."""
    made = module(functions, 'm.def("f", &f);')
    assert f'"{schema}"' in " ".join(made.text(PATH).split()).replace('" "', "")


PYTHON_SIDE = """
    import torch
    from python import _C

    @torch.library.custom_op("pkg::fill", mutates_args=("target",))
    def fill(target: torch.Tensor, source: torch.Tensor) -> None:
        _C.fill(target, source)
"""


def test_marks_agree_with_the_custom_op_around_the_call() -> None:
    """Where the text of the function does not tell, the repository's Python does."""
    functions = "void run(void*, void*);\nvoid fill(at::Tensor a, at::Tensor b) { run(a.data_ptr(), b.data_ptr()); }"
    text = f'{functions}\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {{\n  m.def("fill", &fill);\n}}\n'
    layout = replace(LAYOUT, legacy_bindings=(PATH,), libraries=(Library("_C", (PATH,)),))
    unmarked = migrate({PATH: text}, [PATH], layout)
    assert "fill(Tensor a, Tensor b) -> ()" in unmarked.text(PATH)
    marked = migrate({PATH: text, "python/ops.py": PYTHON_SIDE}, [PATH], layout)
    assert "fill(Tensor! a, Tensor b) -> ()" in marked.text(PATH)


def test_a_parameter_that_takes_over_its_argument_is_moved_into() -> None:
    made = module("void f(std::optional<at::Tensor>&& bias, std::vector<at::Tensor>&& rest) {}", 'm.def("f", &f);')
    text = made.text(PATH)
    assert "f(std::move(bias), std::move(rest));" in text
    assert "f_boxed(std::optional<torch::stable::Tensor> bias" in text


@pytest.mark.parametrize("kind", ["at::OptionalIntArrayRef", "c10::OptionalArrayRef<int64_t>"])
def test_an_optional_list_of_numbers(kind: str) -> None:
    text = module(f"at::Tensor f(const at::Tensor& x, {kind} dims) {{ return x; }}", 'm.def("f", &f);').text(PATH)
    assert 'm.def("f(Tensor x, int[]? dims) -> Tensor");' in text
