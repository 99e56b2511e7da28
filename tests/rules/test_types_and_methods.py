"""Receivers: what is a tensor's method and what only looks like one, and how calls nest."""

from __future__ import annotations

import pytest
from torch_stabilize.model import Severity

from tests.rules.rewriting import rewrite, rewritten

CASES = {
    "a chain of calls": (
        "at::Tensor f(at::Tensor x, int64_t d) { return x.contiguous().view({-1, d}).to(at::kFloat); }",
        "torch::stable::Tensor f(torch::stable::Tensor x, int64_t d) { return torch::stable::to(torch::stable::view("
        "torch::stable::contiguous(x), {-1, d}), torch::headeronly::ScalarType::Float); }",
    ),
    "auto from a factory": (
        "void f(at::Tensor x) { auto y = torch::empty_like(x); y.zero_(); }",
        "void f(torch::stable::Tensor x) { auto y = torch::stable::empty_like(x); torch::stable::zero_(y); }",
    ),
    "an optional, by value()": (
        "bool f(const c10::optional<at::Tensor>& b) { return b.value().dtype() == at::kInt; }",
        "bool f(const std::optional<torch::stable::Tensor>& b) { return b.value().scalar_type() == "
        "torch::headeronly::ScalarType::Int; }",
    ),
    "an optional, by ->": (
        "at::Tensor f(std::optional<at::Tensor> b) { return b->contiguous(); }",
        "torch::stable::Tensor f(std::optional<torch::stable::Tensor> b) { return torch::stable::contiguous(*b); }",
    ),
    "elements of a vector": (
        "void f(std::vector<at::Tensor> xs) { for (auto& x : xs) { auto y = x.contiguous(); } }",
        "void f(std::vector<torch::stable::Tensor> xs) { for (auto& x : xs) { auto y = torch::stable::contiguous(x); } }",
    ),
    "a member of a struct": (
        "struct P { at::Tensor w; int n; };\nint64_t f(P p) { return p.w.contiguous().size(0); }",
        "struct P { torch::stable::Tensor w; int n; };\nint64_t f(P p) { return torch::stable::contiguous(p.w).size(0); }",
    ),
    "a parameter of a lambda": (
        "auto f = [](const at::Tensor& x) { return x.contiguous(); };",
        "auto f = [](const torch::stable::Tensor& x) { return torch::stable::contiguous(x); };",
    ),
    "the result of a function of the group": (
        "at::Tensor g();\nint64_t f() { return g().contiguous().numel(); }",
        "torch::stable::Tensor g();\nint64_t f() { return torch::stable::contiguous(g()).numel(); }",
    ),
    "a name that a using brought in": (
        "using torch::Tensor;\nvoid f(Tensor x) { auto y = x.contiguous(); }",
        "using torch::stable::Tensor;\nvoid f(Tensor x) { auto y = torch::stable::contiguous(x); }",
    ),
    "what makes a tensor of none, behind a using-directive": (
        "using namespace torch;\nvoid f() { auto x = rand({2}); auto y = eye(3, kInt); }",
        "void f() { auto x = stable_aten::rand({2}); auto y = stable_aten::eye(3, torch::headeronly::ScalarType::Int); }",
    ),
    "a class of the project, and torch's of that name": (
        "namespace own { struct Tensor { void zero_(); };\nnamespace deep { void f(Tensor x, at::Tensor y) { x.zero_(); y.zero_(); } } }\n"
        "void g(own::Tensor x, at::Tensor y) { x.zero_(); y.zero_(); }",
        "namespace own { struct Tensor { void zero_(); };\nnamespace deep { void f(Tensor x, torch::stable::Tensor y) "
        "{ x.zero_(); torch::stable::zero_(y); } } }\n"
        "void g(own::Tensor x, torch::stable::Tensor y) { x.zero_(); torch::stable::zero_(y); }",
    ),
    "a namespace of the project with the name of torch's": (
        "namespace own { namespace at { struct Tensor { void zero_(); }; }\nvoid f(at::Tensor x) { x.zero_(); }\n"
        "void g(::at::Tensor x) { x.zero_(); } }\nvoid h(at::Tensor x) { x.zero_(); }",
        "namespace own { namespace at { struct Tensor { void zero_(); }; }\nvoid f(at::Tensor x) { x.zero_(); }\n"
        "void g(torch::stable::Tensor x) { torch::stable::zero_(x); } }\n"
        "void h(torch::stable::Tensor x) { torch::stable::zero_(x); }",
    ),
    "a string": ("int f(std::string s) { return s.size(); }",) * 2,
    "a vector": ("void f(std::vector<int> v) { v.resize(3); int n = v.data()[0]; }",) * 2,
    "a class of the project": ("struct V { int view(int); };\nint f(V v) { return v.view(3); }",) * 2,
    "coordinates in a header that says nothing of torch": (
        "template <typename T> int f(T mask) { return mask.offset_.contiguous(); }",
    )
    * 2,
    "a pointer that is indexed": ("float f(const float* x) { return x[0] + x[1]; }",) * 2,
    "dimensions never dangle": (
        "at::Tensor f(at::Tensor x) { return x.sum(0); }",
        "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::sum(x, std::vector<int64_t>{0}); }",
    ),
    "nor do those of an out variant": (
        "void f(at::Tensor x, at::Tensor y) { at::sum_out(y, x, 1); }",
        "void f(torch::stable::Tensor x, torch::stable::Tensor y) { "
        "torch::stable::sum_out(y, x, std::vector<int64_t>{1}); }",
    ),
    "nor does a dimension that is not an int64_t": (
        "at::Tensor f(at::Tensor x, int d, int64_t e) { return x.sum(d).sum(e); }",
        "torch::stable::Tensor f(torch::stable::Tensor x, int d, int64_t e) { return "
        "torch::stable::sum(torch::stable::sum(x, static_cast<int64_t>(d)), e); }",
    ),
    "a device in braces": (
        "at::Tensor f(at::Tensor x) { return x.to({torch::kCPU}); }",
        "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::to(x, torch::headeronly::kCPU); }",
    ),
    "traits of an accessor, behind a using-directive": (
        "using namespace at;\nauto f(const Tensor& x) { return x.packed_accessor32<float, 2, RestrictPtrTraits>(); }",
        "auto f(const torch::stable::Tensor& x) { return "
        "packed_accessor_of<float, 2, torch::headeronly::RestrictPtrTraits, int32_t>(x); }",
    ),
    "a function that takes one dimension": (
        "at::Tensor f(at::Tensor x) { return at::amax(x, 0); }",
        "torch::stable::Tensor f(torch::stable::Tensor x) { return torch::stable::amax(x, 0); }",
    ),
    "a type of which nothing is lost where one rewrite ends and the next begins": (
        "__global__ void f(at::PackedTensorAccessor32<int, 1, at::RestrictPtrTraits> x);",
        "__global__ void f(torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<int, 1, "
        "torch::headeronly::RestrictPtrTraits, int32_t> x);",
    ),
    "indexing": (
        "void f(at::Tensor b, int i) { auto y = b[i][1]; }",
        "void f(torch::stable::Tensor b, int i) { auto y = torch::stable::select(torch::stable::select(b, 0, i), 0, 1); }",
    ),
    "one value of an indexed tensor": (
        "int64_t f(const at::Tensor& b, int i) { return b[i][0].item<int64_t>(); }",
        "int64_t f(const torch::stable::Tensor& b, int i) { return "
        "item<int64_t>(torch::stable::select(torch::stable::select(b, 0, i), 0, 0)); }",
    ),
    "an op that only the dispatcher has": (
        "at::Tensor f(at::Tensor x) { return torch::cumsum(x, 0); }",
        "torch::stable::Tensor f(torch::stable::Tensor x) { return stable_aten::cumsum(x, 0); }",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_before_becomes_after(name: str) -> None:
    before, after = CASES[name]
    assert rewritten(before) == after


def test_what_cannot_be_called_is_a_diagnostic() -> None:
    after, found = rewrite("at::Tensor f(at::Tensor x) { return torch::addmm(x, x, x); }")
    assert [(d.code, d.severity) for d in found.diagnostics] == [("TSA131", Severity.ERROR)]
    assert "torch::addmm" in after


def test_an_api_above_the_target_is_a_diagnostic_that_names_the_way_out() -> None:
    text = "void f(at::Tensor& x) { cublasHandle_t h = at::cuda::getCurrentCUDABlasHandle(); C10_CUDA_CHECK(g()); }"
    _, old = rewrite(text, target="2.9")
    assert any("needs target 2.10" in diagnostic.message for diagnostic in old.diagnostics)
    assert not rewrite(text, target="2.10")[1].diagnostics


def test_a_tensor_of_another_library_keeps_its_methods() -> None:
    text = "using namespace cute;\nvoid f(int* p, int n) {\n  Tensor t = make_tensor(p, n);\n  t.data() = t.data() + n;\n}\n"
    assert rewrite(text)[0] == text
    torchs = text.replace("using namespace cute", "using namespace at").replace(
        "Tensor t = make_tensor(p, n)", "Tensor t = make()"
    )
    assert "t.data() =" not in rewrite(torchs)[0]


def test_factories_with_overloads_for_tensors_are_found_without_their_namespace() -> None:
    """`linspace(0, 1, n)` has no tensor among its arguments, and another of its overloads has."""
    text = "using namespace at;\nTensor f(int64_t n) {{ return {}(1, 2, n); }}"
    assert [d.code for d in rewrite(text.format("linspace"))[1].diagnostics] == ["TSA131"]
    own = "at::Tensor linspace(int a, int b, int n);\n" + text.format("linspace")
    assert [d.code for d in rewrite(own)[1].diagnostics] == []


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        ("const std::optional<at::Tensor>& o", "auto& y = o.value();"),
        ("const std::optional<at::Tensor>& o", "auto& y = *o;"),
        ("const std::vector<at::Tensor>& o", "auto& y = o[0];"),
        ("const std::vector<at::Tensor>& o", "auto& z = o; auto& y = z.front();"),
    ],
)
def test_a_reference_to_what_is_const_is_const(given: str, bound: str) -> None:
    """`torch::stable::zero_` takes a reference that can be written to."""
    text = f"void f({given}) {{ {bound} y.zero_(); }}"
    assert "stable_aten::zero_(y);" in rewrite(text)[0]
    assert "torch::stable::zero_(y);" in rewrite(text.replace("const ", ""))[0]
