"""Operators on tensors: the op each stands for, the number on either side, what is written into an element."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite, rewritten

ATEN = "stable_aten::"
SELECT = "torch::stable::select"
CASES = {
    "a sum of tensors, which may be integers": ("auto c = a + b;", f"auto c = {ATEN}add(a, b);"),
    "a sum of tensors that are floating": (
        "auto c = a.to(at::kFloat) - b.to(at::kFloat);",
        "auto c = torch::stable::subtract(torch::stable::to(a, torch::headeronly::ScalarType::Float), "
        "torch::stable::to(b, torch::headeronly::ScalarType::Float));",
    ),
    "a number on the right": ("auto c = a * 2 + 0.5;", f"auto c = {ATEN}add({ATEN}mul(a, 2), 0.5);"),
    "a number on the left": ("auto c = n < a;", f"auto c = {ATEN}gt(a, n);"),
    "a number less a tensor": (
        "auto c = 1 - a;",
        f"auto c = {ATEN}sub_(torch::stable::fill_(torch::stable::empty_like(a), 1), a);",
    ),
    "what nobody says the type of": ("auto c = a == unknown();", f"auto c = {ATEN}eq(a, unknown());"),
    "parentheses": ("auto c = (a + b) * n;", f"auto c = {ATEN}mul({ATEN}add(a, b), n);"),
    "a sign": ("auto c = -a;", f"auto c = {ATEN}neg(a);"),
    "masks": (
        "auto c = (a > 0) & ~(b <= n);",
        f"auto c = {ATEN}bitwise_and({ATEN}gt(a, 0), {ATEN}bitwise_not({ATEN}le(b, n)));",
    ),
    "results of calls": ("auto c = at::exp(a) / b.exp();", f"auto c = {ATEN}div({ATEN}exp(a), {ATEN}exp(b));"),
    "a call without a tensor's name at its end": (
        "auto c = n * at::cat({a, b}, 0) - n;",
        f"auto c = {ATEN}sub({ATEN}mul({ATEN}cat({{a, b}}, 0), n), n);",
    ),
    "in place": ("a += b; a *= n;", f"{ATEN}add_(a, b); {ATEN}mul_(a, n);"),
    "an element, read": ("auto c = a[0][n];", f"auto c = {SELECT}({SELECT}(a, 0, 0), 0, n);"),
    "an element, written": ("a[0] = b;", f"{ATEN}copy_({SELECT}(a, 0, 0), b);"),
    "an element, filled": ("a[0][1] = 2;", f"torch::stable::fill_({SELECT}({SELECT}(a, 0, 0), 0, 1), 2);"),
    "a view, written": ("a.select(1, n) = b;", f"{ATEN}copy_({SELECT}(a, 1, n), b);"),
    "a variable, assigned": ("a = b;", "a = b;"),
    "a tensor of a vector, assigned": ("v[0] = b;", "v[0] = b;"),
    "a tensor of a vector, computed with": ("auto c = v[0] * v[1];", f"auto c = {ATEN}mul(v[0], v[1]);"),
    "sizes are numbers": ("auto c = a.size(0) * b.size(1);", "auto c = a.size(0) * b.size(1);"),
    "pointers are not tensors": ("*a.data_ptr<float>() = 3;", "*a.mutable_data_ptr<float>() = 3;"),
    "conditions": ("if (a.numel() == 0 || !b.defined()) {}", "if (a.numel() == 0 || !b.defined()) {}"),
}
HEAD = "void f({0} a, {0} b, std::vector<{0}> v, int64_t n) {{ {1} }}\n"


@pytest.mark.parametrize("name", CASES)
def test_before_becomes_after(name: str) -> None:
    before, after = CASES[name]
    assert rewritten(HEAD.format("at::Tensor", before)) == HEAD.format("torch::stable::Tensor", after)


@pytest.mark.parametrize("statement", ["auto c = unknown() - a;", "auto c = unknown() / a;"])
def test_what_cannot_be_told_is_a_diagnostic(statement: str) -> None:
    assert "TSA140" in [d.code for d in rewrite(HEAD.format("at::Tensor", statement))[1].diagnostics]


def test_functions_of_the_file_are_operands_too() -> None:
    before = "at::Tensor g(const at::Tensor& x);\nat::Tensor f(const at::Tensor& y) { return 1 - g(y); }\n"
    assert "{ return stable_aten::rsub(g(y), 1); }" in rewritten(before)


def test_a_name_means_what_its_own_function_says() -> None:
    """The kernel's `x` is a pointer; sizes of a launch in host code do not make a number of what is computed with them."""
    kernel = "__global__ void k(const float* x, float* y) { auto i = threadIdx.x; y[i] = x[i] * 2; }\n"
    host = "void f(at::Tensor x, dim3 gridDim) { auto y = at::empty({gridDim.x}, x.options()); y += x; }\n"
    after = rewritten(kernel + host)
    assert kernel in after
    assert "stable_aten::add_(y, x);" in after


def test_members_in_functions_that_stand_outside_of_the_class() -> None:
    header = "template <typename T> class Table {\n  void grow(int64_t n);\n  at::Tensor rows_;\n  float step_;\n};\n"
    before = (
        "template <typename T> void Table<T>::grow(int64_t n) { rows_ += n; rows_[0] = rows_.narrow(0, 1, n) - step_; }"
    )
    after = (
        "template <typename T> void Table<T>::grow(int64_t n) { stable_aten::add_(rows_, n); "
        "stable_aten::copy_(torch::stable::select(rows_, 0, 0), "
        "stable_aten::sub(torch::stable::narrow(rows_, 0, 1, n), step_)); }"
    )
    assert rewritten(before, others=[header]) == after


def test_a_class_template_called_tensor_is_none_of_torch() -> None:
    """CuTe has one: what is asked of it is left alone, and nothing is said of it."""
    before = (
        "template <class E, class L, class F>\n"
        "void fill(cute::Tensor<E, L> const& source, cute::Tensor<F, L>& target, at::Tensor x) {\n"
        "  static_assert(cute::size<0>(source) == cute::size<0>(target) * 2);\n"
        "  auto view = cute::recast<int>(target);\n"
        "  view[0] = source(0) + 1;\n  x[0] = 1;\n}\n"
    )
    assert [d.message for d in rewrite(before)[1].diagnostics] == []
    text = rewritten(before)
    assert "static_assert(cute::size<0>(source) == cute::size<0>(target) * 2);" in text
    assert "view[0] = source(0) + 1;" in text
    assert "torch::stable::fill_(torch::stable::select(x, 0, 0), 1);" in text


def test_what_a_method_of_tensors_alone_gives_is_an_operand() -> None:
    unit = "at::Tensor f(const at::Tensor& x) { auto ranks = elsewhere(x); return ranks.cumsum(0) + 1; }\n"
    assert "return stable_aten::add(stable_aten::cumsum(ranks, 0), 1);" in rewritten(unit)
    own = (
        "struct Runs { int cumsum(int n) const; };\nint f(const at::Tensor& x) { return elsewhere(x).cumsum(0) + 1; }\n"
    )
    assert "return elsewhere(x).cumsum(0) + 1;" in rewritten(own)


def test_names_of_the_global_namespace_are_those_of_torch() -> None:
    own = "namespace paint { namespace at { inline int empty(int n) { return n; } }\n"
    unit = own + "torch::Tensor draw() { return at::empty(1) + ::at::zeros({2}); } }\n"
    assert "return stable_aten::add(" in rewritten(unit)
    assert "at::empty(1)" in rewritten(unit)


OWN = "struct Scale {{ at::Tensor operator*(const at::Tensor& t) const; Scale& operator+=(at::Tensor t);{0} }};\n"


def test_an_operator_of_the_projects_own_class_is_left_alone() -> None:
    """The class on the left decides, what the operator gives back is a tensor again."""
    text = OWN.format("") + "at::Tensor f(at::Tensor x, Scale s) { s += x; return s * x + 1; }"
    after, found = rewrite(text)
    assert "s += x; return stable_aten::add(s * x, 1);" in after
    assert not found.diagnostics


def test_a_class_that_becomes_a_tensor_is_reported() -> None:
    """It may have been converted for an operator of torch."""
    text = OWN.format(" operator at::Tensor() const;") + "at::Tensor f(at::Tensor x, Scale s) { return s * x; }"
    assert [one.code for one in rewrite(text)[1].diagnostics] == ["TSA140"]
