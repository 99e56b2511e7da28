"""Parameters that become wider in the place of an adapter, and those that may not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch_stabilize.repository.layout import Library

from tests.bindings.trees import BINDINGS, LAYOUT, OPS, STABLE_BINDINGS, STABLE_OPS, Migrated, migrate

UNIT = "csrc/scale.cu"

KERNELS = """\
template <typename T> __global__ void fill(T* y, int n, float by) {}
template <typename T> __global__ void deduced(T n) {}
void run(float* y, int n, float by);
void either(int n);
void either(int64_t n);
#define APPLY(F) F(n)
struct Grid {
  Grid view(std::initializer_list<int> sizes) const;
  unsigned size(int d) const;
  unsigned numel;
};
namespace at { int own_total(std::initializer_list<int> numbers); }
"""


def migrated(body: str, parameters: str = "at::Tensor& y, int n, float by", rest: str = "") -> Migrated:
    """A function of one unit that registers itself."""
    unit = f"""\
{KERNELS}
void scale({parameters}) {{
  {body}
}}
{rest}
TORCH_LIBRARY(my, m) {{
  m.def("scale(Tensor! y, int n, float by) -> ()", &scale);
}}
"""
    layout = replace(LAYOUT, legacy_bindings=(UNIT,), libraries=(Library("_C", (UNIT,)),))
    return migrate({UNIT: unit}, [UNIT], layout)


@pytest.mark.parametrize(
    "body",
    [
        "fill<float><<<1, 256>>>(y.data_ptr<float>(), n, by);",
        "dim3 grid((n + 255) / 256); fill<float><<<grid, n>>>(y.data_ptr<float>(), n, by);",
        "auto go = [&] { run(y.data_ptr<float>(), n, by); }; go();",
        "int count = n; const float factor = by; run(y.data_ptr<float>(), count, factor);",
        "run(y.data_ptr<float>(), static_cast<int>(n), (float)by);",
        'TORCH_CHECK(n == 4 && n < y.size(0), "n is ", n);',
        "for (int i = 0; i < n; ++i) run(y.data_ptr<float>(), i, by);",
        "if (n) run(y.data_ptr<float>(), (n), float(by));",
        "at::Tensor z = at::empty({n, 3}, y.options()).view({-1, n});",
        "at::Tensor z = y.new_zeros({n}) + :: at :: zeros( /* rows */ {n}, at::kFloat) + torch::full({1, n}, 2);",
        "y.resize_({n}); auto z = y.narrow(0, 0, 1).permute({n, 0}); if (n < y.sizes()[0] || n <= z.dim()) return;",
        "std::vector<float> v(3); if (n < v.size() && n != int64_t(4)) run(v.data(), n, by);",
    ],
)
def test_what_goes_only_where_the_narrower_type_is_wanted_anyway(body: str) -> None:
    made = migrated(body)
    assert "void scale(at::Tensor& y, int64_t n, double by) {" in made.text(UNIT)
    assert 'm.impl("scale", TORCH_BOX(&scale));' in made.text(UNIT)
    assert made.codes >= {"TSA524"}
    assert "TSA511" not in made.codes


@pytest.mark.parametrize(
    "body",
    [
        "deduced<<<1, 1>>>(n);",  # the kernel's type follows
        "auto m = n;",
        "n += 1;",
        "for (unsigned i = 0; i < n; ++i) run(nullptr, 1, by);",
        "either(n);",  # picks another overload
        "unknown(n);",
        "y.fill_(n);",
        "int m{n};",  # does not compile any more
        "int& m = n;",
        "int m = n * count();",  # of what type, nobody knows
        "float twice = by * 2;",  # computed in double then
        "double d = by;",  # not rounded to float first then
        "if (by > 0) return;",
        'printf("%d", n);',
        "APPLY(f); fill<float><<<1, 1>>>(nullptr, n, by);",
        "std::vector<int> sizes = {n};",
        "Grid{}.view({n, 2});",  # a list of int, which an int64_t does not fit
        "Grid g; Grid* p = &g; p->view({n});",
        "at::own_total({n, 2});",
        "torch::tensor({n, 2});",  # of the type of its elements
        "at::scalar_tensor({n});",
        "Grid g; if (n < g.size(0)) return;",  # compared as 32 bits without a sign
        "Grid g; if (n == g.numel) return;",
    ],
)
def test_what_may_mean_something_else_keeps_its_adapter(body: str) -> None:
    made = migrated(body)
    assert "void scale(at::Tensor& y, int n, float by) {" in made.text(UNIT)
    assert "TORCH_BOX(&scale_boxed)" in made.text(UNIT)
    assert "TSA524" not in made.codes


@pytest.mark.parametrize(
    "rest",
    [
        "void scale(at::Tensor& y, int64_t n) {}",  # an overload
        "auto other = &scale;",
        "struct S { int scale; };",
    ],
)
def test_a_function_that_is_used_in_another_way_stays(rest: str) -> None:
    assert "TSA524" not in migrated("run(nullptr, n, by);", rest=rest).codes


def test_a_header_of_that_name_is_no_use() -> None:
    assert "TSA524" in migrated("run(nullptr, n, by);", rest='#include "scale.h"').codes


def test_a_caller_in_the_group_may_pass_what_it_passed() -> None:
    made = migrated("run(nullptr, n, by);", rest="void twice(at::Tensor& y) { scale(y, 2, 0.5f); }")
    assert "int64_t n, double by" in made.text(UNIT)


def test_a_type_that_no_wider_parameter_helps_keeps_the_adapter() -> None:
    made = migrated("run(nullptr, n, by);", "const char* name, at::Tensor& y, int n, float by")
    assert "int n, float by) {" in made.text(UNIT)
    assert "scale_boxed" in made.text(UNIT)


FILES = {
    OPS: """\
        #pragma once
        #include <torch/all.h>
        // Scales y.
        void scale(at::Tensor& y, const int n = 1,
                   float by = 2.f);
        """,
    UNIT: '#include "ops.h"\nvoid run(int n, float by);\nvoid scale(at::Tensor& y, const int n, float by) { run(n, by); }\n',
    BINDINGS: """\
        #include "ops.h"
        TORCH_LIBRARY(my, m) {
          m.def("scale(Tensor! y, int n, float by) -> ()", &scale);
        }
        """,
}


def test_the_declaration_in_the_stable_header_is_the_wider_one() -> None:
    made = migrate(FILES, [UNIT])
    assert "void scale(at::Tensor& y, const int64_t n, double by) {" in made.text(UNIT)
    declared = " ".join(made.text(STABLE_OPS).split())
    assert "// Scales y. void scale(torch::stable::Tensor& y, const int64_t n = 1, double by = 2.f);" in declared
    assert "scale(" not in made.text(OPS)
    assert 'm.impl("scale", TORCH_BOX(&scale));' in made.text(STABLE_BINDINGS)


def test_a_legacy_caller_keeps_the_adapter() -> None:
    caller = '#include "ops.h"\nvoid caller(at::Tensor& y) { scale(y, 3, 0.5f); }\n'
    made = migrate({**FILES, "csrc/caller.cpp": caller}, [UNIT])
    assert "const int n, float by) { run(n, by); }" in made.text(UNIT)
    assert "scale_boxed" in made.text(STABLE_BINDINGS)
