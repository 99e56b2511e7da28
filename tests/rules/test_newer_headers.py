"""What newer headers bring is used for old targets too; older headers take a helper, a wrapper, or are told so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from torch_stabilize.surface.headers import installed_version, target_macro
from torch_stabilize.surface.versions import parse_version

from tests.rules.rewriting import rewrite

CASES = [
    ("at::Tensor f(at::Tensor x) { return x.permute({1, 0}); }", "2.14", "torch::stable::permute(x, {1, 0})"),
    (
        "at::Tensor f(at::Tensor x, at::Tensor i) { return x.index_select(0, i); }",
        "2.14",
        "torch::stable::index_select(x, 0, i)",
    ),
    (
        "at::Tensor f(at::Tensor x, at::Tensor y) { return at::floor_divide(x, y); }",
        "2.14",
        "torch::stable::floor_divide(x, y)",
    ),
    (
        "at::Tensor f(at::Tensor x, at::Tensor y) { return x.bitwise_and(y); }",
        "2.14",
        "torch::stable::bitwise_and(x, y)",
    ),
    (
        "at::Tensor f(at::Tensor x, at::ScalarType t) { return x.view(t); }",
        "2.14",
        "torch::stable::view(x, t)",
    ),
    ("bool f(at::Tensor x) { return x.is_pinned(); }", "2.14", "torch::stable::is_pinned(x)"),
    ("bool f(float x) { return at::_isnan(x); }", "2.14", "torch::headeronly::_isnan(x)"),
    ("at::Tensor f(at::Tensor x) { return std::get<0>(x.sort(0)); }", "2.15", "torch::stable::sort(x, 0)"),
    (
        "int f(int n) { int s = 0; for (int i : c10::irange(n)) { s += i; } return s; }",
        "2.15",
        "torch::headeronly::irange(n)",
    ),
    ("float f() { return c10::pi<float>; }", "2.15", "torch::headeronly::pi<float>"),
    ("bool f(const bool* p) { return c10::load(p); }", "2.15", "torch::headeronly::load(p)"),
    ("int f(double x) { return c10::convert<int>(x); }", "2.15", "torch::headeronly::convert<int>(x)"),
    ("float f(float x) { return c10::copysign(x, -1.0f); }", "2.15", "torch::headeronly::copysign(x, -1.0f)"),
    (
        "c10::scalar_value_type<c10::complex<float>>::type f() { return 1.0f; }",
        "2.14",
        "torch::headeronly::scalar_value_type<torch::headeronly::complex<float>>::type",
    ),
]
OLDER = {"2.14": "2.13", "2.15": "2.14"}


@pytest.mark.parametrize(("text", "since", "native"), CASES)
def test_what_the_headers_have_is_used_for_an_old_target(text: str, since: str, native: str) -> None:
    after, found = rewrite(text, "f.cpp", headers=since)
    assert native in after
    assert found.diagnostics == ()
    assert not found.helpers
    older, without = rewrite(text, "f.cpp", headers=OLDER[since])
    assert native not in older
    assert without.diagnostics or without.helpers


def test_atomics_come_from_the_headers() -> None:
    text = "#include <ATen/cuda/Atomic.cuh>\n__global__ void k(at::Half* p, at::Half x) { gpuAtomicAdd(p, x); }"
    assert rewrite(text, headers="2.13")[1].helpers == {"gpu_atomic"}
    after, found = rewrite(text, headers="2.14")
    assert "gpuAtomicAdd(p, x)" in after
    assert not found.helpers
    assert "torch/headeronly/cuda/Atomic.h" in found.includes
    fast = "__global__ void k(float* p) { at::native::fastAtomicAdd(p, 0, 1, 1.f, true); }"
    assert "torch::headeronly::fastAtomicAdd(p, 0, 1, 1.f, true)" in rewrite(fast, headers="2.14")[0]


@pytest.mark.parametrize(
    "text",
    [
        "at::Tensor f(at::Tensor x) { return x.bitwise_and(3); }",
        "at::Tensor f(at::Tensor x) { return at::floor_divide(x, 2); }",
        "at::Tensor f(at::Tensor x) { return x.cumsum(0); }",
    ],
)
def test_other_overloads_and_ops_keep_their_wrapper(text: str) -> None:
    after, found = rewrite(text, "f.cpp", headers="2.15")
    assert "stable_aten::" in after
    assert any(name.startswith("aten:") for name in found.helpers)


@pytest.mark.compile
def test_what_is_native_compiles_with_stable_headers_alone(stable_tree: Path, compiler: str, tmp_path: Path) -> None:
    own = ".".join(installed_version(stable_tree).split(".")[:2])
    units = [text for text, since, _ in CASES if parse_version(since) <= parse_version(own)]
    if not units:
        pytest.skip(f"headers of {own}")
    for number, text in enumerate(units):
        after, found = rewrite(text, "f.cpp", headers=own)
        includes = "".join(f"#include <{name}>\n" for name in sorted({*found.includes, "tuple"}))
        (tmp_path / f"{number}.cpp").write_text(includes + after)
    defined = [f"-DTORCH_TARGET_VERSION={target_macro('2.11')}", f"-isystem{stable_tree}"]
    sources = [str(path) for path in sorted(tmp_path.glob("*.cpp"))]
    command = [compiler, "-std=c++17", "-fsyntax-only", *defined, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
