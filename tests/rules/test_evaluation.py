"""What a rewrite evaluates: the same expressions, once each, the receiver first where that matters."""

from __future__ import annotations

import pytest

from tests.rules.rewriting import rewrite, rewritten

T = "torch::stable::Tensor"
NAMED = {
    "a lambda that reads what the receiver changed": (
        "at::Tensor f(at::Tensor x) { auto total = [&] { return x.exp(); }; return x.relu_().matmul(total()); }",
        f"{T} f({T} x) {{ auto total = [&] {{ return stable_aten::exp(x); }}; return [&](auto&& self) "
        "{ return torch::stable::matmul(self, total()); }(stable_aten::relu_(x)); }",
    ),
    "two calls of a function that changes its argument": (
        "at::Tensor up(at::Tensor t) { t.relu_(); return t; }\nat::Tensor f(at::Tensor x) { return up(x).matmul(up(x)); }",
        f"{T} up({T} t) {{ stable_aten::relu_(t); return t; }}\n{T} f({T} x) {{ return [&](auto&& self) "
        "{ return torch::stable::matmul(self, up(x)); }(up(x)); }",
    ),
    "a size that the receiver changes": (
        "at::Tensor f(at::Tensor x) { return x.unsqueeze_(0).view({x.dim(), -1}); }",
        f"{T} f({T} x) {{ return [&](auto&& self) {{ return torch::stable::view(self, {{x.dim(), -1}}); }}"
        "(stable_aten::unsqueeze_(x, 0)); }",
    ),
    "a step of a counter": (
        "at::Tensor f(at::Tensor x, int64_t n) { return x.select(0, n++).select(0, n); }",
        f"{T} f({T} x, int64_t n) {{ return [&](auto&& self) {{ return torch::stable::select(self, 0, n); }}"
        "(torch::stable::select(x, 0, n++)); }",
    ),
    "two draws of random numbers": (
        "at::Tensor f(at::Tensor x) { return at::rand_like(x).matmul(at::rand_like(x)); }",
        f"{T} f({T} x) {{ return [&](auto&& self) {{ return torch::stable::matmul(self, stable_aten::rand_like(x)); }}"
        "(stable_aten::rand_like(x)); }",
    ),
    "a tensor whose dtype and device are asked": (
        "at::Tensor made(int n);\nat::Tensor f(at::Tensor x) { return x.type_as(made(1)); }",
        f"{T} made(int n);\n{T} f({T} x) {{ return [&](auto&& self) {{ return torch::stable::to(x, self.scalar_type(), "
        "std::nullopt, self.device()); }(made(1)); }",
    ),
    "a function of the standard library that writes": (
        "void f(std::vector<at::Tensor>& v) { v[0].copy_(*std::rotate(v.begin(), v.begin() + 1, v.end())); }",
        f"void f(std::vector<{T}>& v) {{ [&](auto&& self) {{ return torch::stable::copy_(self, "
        "*std::rotate(v.begin(), v.begin() + 1, v.end())); }(v[0]); }",
    ),
}
PLAIN = {
    "a function of the standard library that reads": (
        "at::Tensor f(at::Tensor x, int n) { return x.relu_().narrow(0, std::gcd(n, 4), std::int64_t(n)); }",
        f"{T} f({T} x, int n) {{ return stable_aten::narrow(stable_aten::relu_(x), 0, std::gcd(n, 4), std::int64_t(n)); }}",
    ),
    "a variable changed before": (
        "at::Tensor f(at::Tensor x, at::Tensor y) { return x.relu_().matmul(y); }",
        f"{T} f({T} x, {T} y) {{ return torch::stable::matmul(stable_aten::relu_(x), y); }}",
    ),
    "a function that changes nothing": (
        "at::Tensor of(const at::Tensor& t, int k) { auto r = t.exp(); return r; }\n"
        "at::Tensor f(at::Tensor x, int n) { return of(x, n).matmul(of(x, n)); }",
        f"{T} of(const {T}& t, int k) {{ auto r = stable_aten::exp(t); return r; }}\n"
        f"{T} f({T} x, int n) {{ return torch::stable::matmul(of(x, n), of(x, n)); }}",
    ),
    "a view of a size": (
        "at::Tensor f(at::Tensor x) { return x.contiguous().view({-1, x.size(0)}); }",
        f"{T} f({T} x) {{ return torch::stable::view(torch::stable::contiguous(x), {{-1, x.size(0)}}); }}",
    ),
}


@pytest.mark.parametrize("name", [*NAMED, *PLAIN])
def test_before_becomes_after(name: str) -> None:
    before, after = {**NAMED, **PLAIN}[name]
    assert rewritten(before) == after


def test_what_would_be_left_out_is_reported() -> None:
    text = "at::Tensor made(int n);\nat::Tensor f(int n) { return at::empty({2}, made(n).options().dtype(at::kInt).device(at::kCPU)); }"
    assert [d.code for d in rewrite(text)[1].diagnostics] == ["TSA134"]


def test_where_no_lambda_can_stand_is_reported() -> None:
    text = "at::Tensor made(int n);\nstruct S { at::Tensor x; size_t bytes = made(1).nbytes(); };"
    assert [d.code for d in rewrite(text)[1].diagnostics] == ["TSA134"]


LASTING = "at::Tensor f(at::Tensor x, at::Tensor y) {{ auto o = x.options(); {0} return at::empty({{2}}, o); }}"


@pytest.mark.parametrize(
    "between",
    [
        "x = y;",
        "auto z = std::move(x);",
        "std::swap(x, y);",
        "if (y.dim() > 1) x = y;",
        "auto g = [&] { x = y; }; g();",
    ],
)
def test_options_of_another_tensor_are_kept_apart(between: str) -> None:
    after = rewritten(LASTING.format(between))
    assert "auto o = options_of(x);" in after
    assert "o.dtype_opt()" in after


@pytest.mark.parametrize("between", ["x.relu_();", "x += y;", "auto z = x.clone();", "y = x;"])
def test_options_of_the_same_tensor_are_taken_apart(between: str) -> None:
    assert "torch::stable::new_empty(x, {2})" in rewritten(LASTING.format(between))
