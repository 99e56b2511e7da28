"""A Python module with a class: its unit stays in the legacy module, and the functions of the others move."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Run, make_repository

FILES = {
    "setup.py": """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="till",
    packages=["till"],
    ext_modules=[CppExtension("till._C", ["csrc/module.cpp", "csrc/sums.cpp"])],
    cmdclass={"build_ext": BuildExtension},
)
""",
    "csrc/sums.h": """\
#pragma once
#include <torch/extension.h>

at::Tensor sums(const at::Tensor& x, int64_t step);
""",
    "csrc/sums.cpp": """\
#include "sums.h"

at::Tensor sums(const at::Tensor& x, int64_t step) {
  auto out = at::zeros({x.size(0) / step}, x.options());
  const float* from = x.data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t i = 0; i < out.size(0) * step; ++i) to[i / step] += from[i];
  return out;
}
""",
    "csrc/module.cpp": """\
#include "sums.h"

struct Drawer {
  void put(at::Tensor coin) { coins.push_back(coin); }
  std::vector<at::Tensor> coins;
};

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.attr("LIMIT") = 9;
  m.def("sums", &sums, py::arg("x"), py::arg("step") = 2);
  py::class_<Drawer>(m, "Drawer").def(py::init<>()).def("put", &Drawer::put);
}
""",
    "till/__init__.py": """\
import os

if os.environ.get("TILL_PLAIN"):
    from till import plain as backend
else:
    from till import _C as backend

LIMIT = backend.LIMIT


def sums(x):
    return backend.sums(x, step=3)
""",
    "till/plain.py": "LIMIT = 1\n\n\ndef sums(x, step=2):\n    return x.reshape(-1, step).sum(1)\n",
}


def test_the_class_stays_and_the_function_moves(tmp_path: Path, run_cli: Run) -> None:
    """Python finds both in one module, which takes the legacy one's place in its branch alone."""
    tree = make_repository(tmp_path / "till", FILES)

    ran = run_cli("migrate", "csrc", "--write", cwd=tree)

    assert ran.code == 0
    assert "TSA530 csrc/module.cpp stays in the legacy module _C: it binds a class" in ran.out
    module = (tree / "csrc/module.cpp").read_text()
    assert "py::class_<Drawer>" in module
    assert "&sums" not in module
    assert 'm.attr("LIMIT") = 9;' in module
    assert (
        'm.def("sums(Tensor x, int step=2) -> Tensor");'
        in (tree / "csrc/libtorch_stable/torch_bindings.cpp").read_text()
    )
    package = (tree / "till/__init__.py").read_text()
    assert package == FILES["till/__init__.py"].replace("import _C as backend", "import _C_ops as backend")
    side = (tree / "till/_C_ops.py").read_text()
    assert "sums = torch.ops.till.sums\n" in side
    assert side.endswith("    return getattr(_legacy, name)\n")
    setup = (tree / "setup.py").read_text()
    assert '"csrc/module.cpp"' in setup
    assert "till._C_stable_libtorch" in setup


def test_a_unit_alone_is_told_to_be_split(tmp_path: Path, run_cli: Run) -> None:
    """Where nothing else would move, nothing is left out in silence."""
    one = FILES["csrc/sums.cpp"].replace('#include "sums.h"', "#include <torch/extension.h>")
    files = {
        **FILES,
        "csrc/module.cpp": one + FILES["csrc/module.cpp"].replace('#include "sums.h"\n', ""),
        "setup.py": FILES["setup.py"].replace(', "csrc/sums.cpp"', ""),
    }
    tree = make_repository(tmp_path / "till", {k: v for k, v in files.items() if not k.startswith("csrc/sums")})
    ran = run_cli("migrate", "csrc/module.cpp", cwd=tree)
    assert ran.code == 1
    assert "TSA515 a class has no stable form" in ran.out + ran.err
