"""`migrate --report FILE.json` names what Python could call before and what it is after, for whoever calls both sides."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from torch_stabilize.report.as_json import schema

from tests.conftest import Run, make_repository

GATE = """\
#include <torch/extension.h>
torch::Tensor gate(torch::Tensor x, double by) { return torch::zeros({x.size(0)}, x.options()); }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("gate", &gate); }
"""
NORM = """\
#include <ATen/core/Tensor.h>
#include <torch/library.h>
void norm(at::Tensor& x) { x.mutable_data_ptr<float>()[0] = 1; }
TORCH_LIBRARY(shop, m) {
  m.def("norm.out(Tensor(a!) x) -> ()");
  m.impl("norm.out", c10::kCPU, &norm);
}
"""
SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension
setup(
    name="shop",
    packages=["shop"],
    ext_modules=[CppExtension("shop.rows._gate", ["csrc/gate.cpp"]), CppExtension("shop._norm", ["csrc/norm.cpp"])],
    cmdclass={"build_ext": BuildExtension},
)
"""


def test_names_before_and_after(tmp_path: Path, run_cli: Run) -> None:
    files = {"csrc/gate.cpp": GATE, "csrc/norm.cpp": NORM, "setup.py": SETUP, "shop/__init__.py": ""}
    make_repository(tmp_path, dict(files))
    found = {}
    for unit in ("gate", "norm"):
        report = tmp_path / f"{unit}.json"
        run_cli("migrate", f"csrc/{unit}.cpp", "--report", str(report), cwd=tmp_path)
        document = json.loads(report.read_text())
        jsonschema.validate(document, schema("report"))
        found[unit] = document["callables"]
    (gate,) = found["gate"]
    namespace = gate["stable"].partition("::")[0]
    assert gate["legacy"] == "shop.rows._gate:gate"
    assert gate["schema"] == f"{namespace}::gate(Tensor x, float by) -> Tensor"
    assert found["norm"] == [
        {"legacy": "shop::norm.out", "stable": "shop::norm.out", "schema": "shop::norm.out(Tensor(a!) x) -> ()"}
    ]
