"""Types of parameters and results that TORCH_BOX gets wrong: the adapter each gets, or why it has none."""

from __future__ import annotations

import pytest
from torch_stabilize.bindings.boxing.adapters import Boxing, adapters_text, boxing_for
from torch_stabilize.source.document import Document
from torch_stabilize.source.signatures import read_signatures


def boxing(signature: str, target: str = "2.11") -> Boxing:
    """How the function `f` of a signature is boxed."""
    (function,) = read_signatures(Document("f.cpp", f"{signature};".encode()))
    return boxing_for(function, {}, target=target, adapter_name="boxed_f", call="f")


def adapter(signature: str) -> list[str]:
    """The lines of the adapter of a signature: its head, then its body without indentation."""
    found = boxing(signature).adapter
    assert found is not None
    comment, head, *body, end = found.text.splitlines()
    assert comment.startswith("// TORCH_BOX cannot pass")
    assert head.endswith(" {")
    assert end == "}"
    return [head.removesuffix(" {"), *(line.strip() for line in body)]


@pytest.mark.parametrize(
    ("parameter", "taken", "passed"),
    [
        ("int n", "int64_t n", "static_cast<int>(n)"),
        ("const float& x", "double x", "static_cast<float>(x)"),
        ("const char* s", "const std::string& s", "s.c_str()"),
        ("std::optional<int> n", "std::optional<int64_t> n",
         "n.has_value() ? std::optional<int>(static_cast<int>(*n)) : std::nullopt"),
        ("std::optional<std::string_view> s", "const std::optional<std::string>& s",
         "s.has_value() ? std::optional<std::string_view>(*s) : std::nullopt"),
        ("std::vector<float> v", "const std::vector<double>& v", "std::vector<float>(v.begin(), v.end())"),
        ("const std::optional<const at::Tensor>& x", "const std::optional<torch::stable::Tensor>& x", "x"),
        ("at::Tensor&& x", "torch::stable::Tensor x", "std::move(x)"),
        ("int&& n", "int64_t n", "static_cast<int>(n)"),  # a value of its own already
    ],
)  # fmt: skip
def test_parameters_of_one_expression(parameter: str, taken: str, passed: str) -> None:
    assert adapter(f"void f({parameter})") == [f"static void boxed_f({taken})", f"f({passed});"]


@pytest.mark.parametrize(
    ("parameter", "taken", "body"),
    [
        ("std::array<int, 3> a", "const std::vector<int64_t>& a",
         ['STD_TORCH_CHECK(a.size() == 3, "a takes 3 values");', "std::array<int, 3> a_values;",
          "std::copy(a.begin(), a.end(), a_values.begin());", "f(a_values);"]),
        ("const std::array<bool, 2>& a", "const std::vector<bool>& a",
         ['STD_TORCH_CHECK(a.size() == 2, "a takes 2 values");', "std::array<bool, 2> a_values;",
          "std::copy(a.begin(), a.end(), a_values.begin());", "f(a_values);"]),
        ("std::tuple<int64_t, int> t", "const std::vector<int64_t>& t",
         ['STD_TORCH_CHECK(t.size() == 2, "f: t takes 2 values");',
          "f(std::tuple<int64_t, int>(t[0], static_cast<int>(t[1])));"]),
        ("std::optional<std::tuple<int, int>> t", "const std::optional<std::vector<int64_t>>& t",
         ["std::optional<std::tuple<int, int>> t_values;", "if (t.has_value()) {",
          'STD_TORCH_CHECK(t->size() == 2, "f: t takes 2 values");',
          "t_values = std::make_tuple(static_cast<int>((*t)[0]), static_cast<int>((*t)[1]));", "}", "f(t_values);"]),
        ("std::optional<const at::Tensor>& x", "std::optional<torch::stable::Tensor>& x",
         ["std::optional<const torch::stable::Tensor> x_value;", "if (x.has_value()) x_value.emplace(*x);",
          "f(x_value);"]),
    ],
)  # fmt: skip
def test_parameters_of_several_values(parameter: str, taken: str, body: list[str]) -> None:
    """A schema has lists for them, whose length is checked before the function runs."""
    assert adapter(f"void f({parameter})") == [f"static void boxed_f({taken})", *body]


@pytest.mark.parametrize(
    ("returned", "given", "body"),
    [
        ("int", "int64_t", ["return static_cast<int64_t>(f(x));"]),
        ("const char*", "std::string", ["return std::string(f(x));"]),
        ("std::string_view", "std::string", ["return std::string(f(x));"]),
        ("const at::Tensor&", "torch::stable::Tensor", ["return f(x);"]),
        ("std::array<at::Tensor, 2>", "std::vector<torch::stable::Tensor>",
         ["auto result = f(x);", "return std::vector(result.begin(), result.end());"]),
        ("std::vector<int>", "std::vector<int64_t>",
         ["auto result = f(x);", "return std::vector<int64_t>(result.begin(), result.end());"]),
        ("std::optional<float>", "std::optional<double>",
         ["auto result = f(x);", "return result.has_value() ? std::optional<double>(*result) : std::nullopt;"]),
        ("std::pair<at::Tensor, int>", "std::tuple<torch::stable::Tensor, int64_t>",
         ["auto result = f(x);", "return std::make_tuple(result.first, static_cast<int64_t>(result.second));"]),
        ("std::tuple<at::Tensor, float>", "std::tuple<torch::stable::Tensor, double>",
         ["auto result = f(x);",
          "return std::make_tuple(std::get<0>(result), static_cast<double>(std::get<1>(result)));"]),
        ("std::vector<bool>", "torch::headeronly::HeaderOnlyArrayRef<bool>",
         ["auto result = f(x);", "static thread_local std::unique_ptr<bool[]> values;",
          "values = std::make_unique<bool[]>(result.size());",
          "std::copy(result.begin(), result.end(), values.get());",
          "return torch::headeronly::HeaderOnlyArrayRef<bool>(values.get(), result.size());"]),
    ],
)  # fmt: skip
def test_results(returned: str, given: str, body: list[str]) -> None:
    assert adapter(f"{returned} f(at::Tensor x)") == [f"static {given} boxed_f(torch::stable::Tensor x)", *body]


@pytest.mark.parametrize(
    "signature",
    [
        "void f(at::Tensor x, int64_t n, double by, bool up, std::vector<int64_t> sizes)",
        "std::tuple<at::Tensor, at::Tensor> f(const at::Tensor& x)",
        "std::optional<at::Tensor> f(const std::optional<at::Tensor>& x)",
    ],
)
def test_what_the_boxing_takes_has_no_adapter(signature: str) -> None:
    assert boxing(signature) == Boxing()


@pytest.mark.parametrize(
    ("signature", "problem"),
    [
        ("void f(float* p)", "parameter `p`: a pointer (`float*`) cannot pass the stable boxing"),
        ("void f(at::Scalar s)", "parameter `s`: a Scalar cannot pass the stable boxing; give the schema an int or a float"),
        ("void f(std::optional<at::Scalar> s)", "parameter `s`: a Scalar cannot pass the stable boxing; give the schema an"),
        ("void f(c10::intrusive_ptr<Bag> b)", "parameter `b`: custom classes cannot pass the stable boxing"),
        ("void f(std::tuple<int, double> t)", "parameter `t`: a tuple of different types (`std::tuple<int, double>`)"),
        ("void f(std::optional<std::tuple<int, float>> t)", "parameter `t`: a tuple of different types"),
        ("void f(std::array<T...> a)", "parameter `a`: `std::array<T...>` cannot pass the stable boxing"),
        ("float* f(at::Tensor x)", "return value: `float*` cannot be returned through the stable boxing"),
        ("at::Scalar f(at::Tensor x)", "return value: `at::Scalar` cannot be returned"),
        ("Thing f(at::Tensor x)", "return value: `Thing` cannot be returned through the stable boxing"),
    ],
)  # fmt: skip
def test_what_no_adapter_can_pass(signature: str, problem: str) -> None:
    """One problem for each, and no adapter that would pass the rest."""
    found = boxing(signature)
    assert found.adapter is None
    (said,) = found.problems
    assert said.startswith(problem)


def test_adapters_of_one_condition_share_it() -> None:
    """Without the condition of its registration an adapter would call what not every build has."""
    first = boxing("void f(int n)").adapter
    assert first is not None
    guarded = first._replace(name="boxed_g", text="G", conditions=("#ifdef WITH_G",))
    text = adapters_text([first._replace(text="F"), guarded, guarded._replace(text="H")])
    assert text == "F\n\n#ifdef WITH_G\nG\n\nH\n#endif"
