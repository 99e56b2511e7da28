"""A package on pybind11, built by its setup.py before and after the migration: its Python functions give the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.conftest import Run, commit_all, make_repository

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.xdist_group("pybind_package")]

SETUP = """\
from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="smoothing",
    version="1.0",
    packages=find_packages(),
    ext_modules=[
        CppExtension(
            name="smoothing._C",
            sources=["csrc/smooth.cpp"],
            extra_compile_args=["-O0", "-g0"],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
"""
UNIT = """\
#include <torch/extension.h>

static void check(const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat && x.is_contiguous(), "x has to be contiguous floats");
}

// The mean of each value and the ones before it, `width` in all.
at::Tensor smooth(const at::Tensor& x, int64_t width) {
  check(x);
  auto out = at::empty_like(x);
  const float* from = x.data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) {
    float sum = 0;
    int64_t count = 0;
    for (int64_t j = i; j >= 0 && j > i - width; --j, ++count) sum += from[j];
    to[i] = sum / count;
  }
  return out;
}

void scale_(at::Tensor& x, double by) {
  check(x);
  float* values = x.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) values[i] *= static_cast<float>(by);
}

at::Tensor shift(const at::Tensor& x, double by) {
  check(x);
  auto out = at::empty_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) out.data_ptr<float>()[i] = x.data_ptr<float>()[i] + static_cast<float>(by);
  return out;
}

at::Tensor shift(const at::Tensor& x, const at::Tensor& by) {
  check(x);
  check(by);
  auto out = at::empty_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) out.data_ptr<float>()[i] = x.data_ptr<float>()[i] + by.data_ptr<float>()[i];
  return out;
}

std::tuple<int64_t, std::string> describe(const at::Tensor& x, int digits, const std::string& unit) {
  return {x.numel() * digits, unit};
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.doc() = "Smoothing.";
  // Smooths.
  m.def("smooth", &smooth, "the mean of the last values", py::arg("x"), py::arg("width") = 3);
  m.def("scale_", &scale_, py::arg("x"), py::arg("by") = 2.0);
  m.def("shift", static_cast<at::Tensor (*)(const at::Tensor&, double)>(&shift));
  m.def("shift", static_cast<at::Tensor (*)(const at::Tensor&, const at::Tensor&)>(&shift));
  m.def("describe", &describe, py::arg("x"), py::arg("digits") = 2, py::arg("unit") = "m");
}
"""
PACKAGE = {
    "smoothing/__init__.py": """\
        import torch  # before the extension, which needs its libraries

        from ._C import describe
        from .ops import double, shifted, smoothed

        __all__ = ["describe", "double", "shifted", "smoothed"]
        """,
    "smoothing/backend.py": """\
        import importlib

        kernels = importlib.import_module("smoothing._C")
        """,
    "smoothing/ops.py": """\
        from smoothing import _C as ext

        from .backend import kernels


        def smoothed(x, **options):
            return ext.smooth(x, **options)


        def double(x):
            x = x.clone()
            ext.scale_(x)
            return x


        def shifted(x, by):
            return kernels.shift(x, by)
        """,
}
USE = """
import torch, smoothing
x = torch.arange(6.0)
print(smoothing.smoothed(x).tolist(), smoothing.smoothed(x, width=2).tolist(), smoothing.double(x).tolist())
print(smoothing.shifted(x, 0.5).tolist(), smoothing.shifted(x, x).tolist())
print(tuple(smoothing.describe(x)), tuple(smoothing.describe(x, unit="ft", digits=3)))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "setup.py": SETUP,
        "csrc/smooth.cpp": UNIT,
        ".gitignore": "*.so\nbuild/\n*.egg-info/\n__pycache__/\n",
    }
    return make_repository(tmp_path / "package", files | {path: dedent(text) for path, text in PACKAGE.items()})


def built_and_used(folder: Path) -> str:
    """What the package prints once its extension is built in place."""
    for command in (["setup.py", "-q", "build_ext", "--inplace"], ["-c", USE]):
        done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_a_package_gives_the_same_once_migrated(package: Path, run_cli: Run) -> None:
    """Keywords, defaults, overloads by type, a name handed on by another file, a function that the package offers."""
    before = built_and_used(package)
    for made in (*package.glob("smoothing/*.so"), package / "build"):
        made.unlink() if made.is_file() else shutil.rmtree(made)

    migrated = run_cli("migrate", "csrc/smooth.cpp", "--write", cwd=package)

    assert migrated.code in (0, 1), migrated.err
    assert built_and_used(package) == before
    assert [made.name for made in package.glob("smoothing/*.so")] == ["_C_stable_libtorch.abi3.so"]
    assert (package / "smoothing/ops.py").read_text() == dedent("""\
        import torch

        from smoothing import _C_ops  # noqa: F401

        from .backend import kernels


        def smoothed(x, **options):
            return torch.ops.smoothing.smooth(x, **options)


        def double(x):
            x = x.clone()
            torch.ops.smoothing.scale_(x)
            return x


        def shifted(x, by):
            return torch.ops.smoothing.shift(x, by)
        """)
    commit_all(package, "Migrate")
    assert run_cli("migrate", "csrc/smooth.cpp", cwd=package).out == ""
