"""Lambdas in a bindings file that stays: those that call what migrates become functions of the stable bindings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

FILES = {
    "setup.py": """\
from setuptools import setup
from torch.utils.cpp_extension import CppExtension

setup(ext_modules=[CppExtension("pkg._C", ["csrc/torch_bindings.cpp", "csrc/scale.cpp", "csrc/other.cpp"])])
""",
    "pkg/__init__.py": "from . import _C\n",
    "csrc/ops.h": """\
#pragma once
#include <torch/all.h>
void scale(at::Tensor& y, const at::Tensor& x, double by);
int64_t other(const at::Tensor& x);
""",
    "csrc/scale.cpp": '#include "ops.h"\nvoid scale(at::Tensor& y, const at::Tensor& x, double by) { y.fill_(by); }\n',
    "csrc/other.cpp": '#include "ops.h"\nint64_t other(const at::Tensor& x) { return x.numel(); }\n',
    "csrc/torch_bindings.cpp": """\
#include <torch/library.h>
#include "ops.h"

TORCH_LIBRARY(pkg, m) {
  m.def("scaled(Tensor x, float by) -> Tensor");
  m.impl("scaled", torch::kCPU, [](const at::Tensor& x, double by) {
    TORCH_CHECK(x.is_contiguous(), "x must be contiguous");
    at::Tensor y = x.cumsum(0);
    scale(y, x, by);
    return y;
  });
  m.def("other(Tensor x) -> int", [](const at::Tensor& x) { return other(x.flatten()); });
}
""",
}
FUNCTION = """\
static auto scaled_impl(const torch::stable::Tensor& x, double by) {
  STD_TORCH_CHECK(x.is_contiguous(), "x must be contiguous");
  torch::stable::Tensor y = stable_aten::cumsum(x, 0);
  scale(y, x, by);
  return y;
}
"""
NEEDED = (
    '#include "stable_aten.h"',
    "#include <torch/headeronly/util/Exception.h>",
)
EXISTING = '#include "ops.h"\n#include <torch/csrc/stable/library.h>\n\nSTABLE_TORCH_LIBRARY_FRAGMENT(pkg, m) {\n}\n'


@pytest.mark.parametrize("existing", [{}, {"csrc/libtorch_stable/torch_bindings.cpp": EXISTING}])
def test_its_body_is_rewritten_by_the_rules(tmp_path: Path, run_cli: Run, existing: dict[str, str]) -> None:
    tree = make_repository(tmp_path / "pkg", {**FILES, **existing})

    assert run_cli("migrate", "csrc/scale.cpp", "--write", cwd=tree).code == 0

    stable = (tree / "csrc/libtorch_stable/torch_bindings.cpp").read_text()
    assert FUNCTION in stable
    assert 'm.impl("scaled", TORCH_BOX(&scaled_impl));' in stable
    for line in NEEDED:
        assert f"{line}\n" in stable
    assert "inline torch::stable::Tensor cumsum(" in (tree / "csrc/libtorch_stable/stable_aten.h").read_text()
    legacy = (tree / "csrc/torch_bindings.cpp").read_text()
    assert "scaled" not in legacy
    assert "[](const at::Tensor& x) { return other(x.flatten()); }" in legacy  # calls what stays


def test_what_no_rule_rewrites_is_reported_where_it_stands(tmp_path: Path, run_cli: Run) -> None:
    bindings = FILES["csrc/torch_bindings.cpp"].replace(
        "x.cumsum(0)", "x.cumsum(at::globalContext().deterministicAlgorithms())"
    )
    tree = make_repository(tmp_path / "pkg", {**FILES, "csrc/torch_bindings.cpp": bindings})

    done = run_cli("migrate", "csrc/scale.cpp", cwd=tree)

    assert done.code == 1
    assert "csrc/torch_bindings.cpp:8:" in done.err
