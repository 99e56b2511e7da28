"""A package that scikit-build-core builds: pyproject.toml and CMake, no setup.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run, make_repository
from tests.sample.building import compile_tree, configure, find_program

_FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["scikit-build-core>=0.9", "torch>=2.4", "pybind11"]
build-backend = "scikit_build_core.build"

[project]
name = "teapot"
version = "0.1"
requires-python = ">=3.10"
dependencies = ["torch>=2.4"]

[tool.scikit-build]
wheel.packages = ["src/teapot"]
cmake.build-type = "Release"
""",
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.18)
project(${SKBUILD_PROJECT_NAME} VERSION ${SKBUILD_PROJECT_VERSION} LANGUAGES CXX)

set(CMAKE_CXX_STANDARD 17)
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "import torch; print(torch.utils.cmake_prefix_path)"
  OUTPUT_VARIABLE TORCH_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE)
list(APPEND CMAKE_PREFIX_PATH ${TORCH_PREFIX})
find_package(Torch REQUIRED)
find_library(TORCH_PYTHON_LIBRARY torch_python PATHS "${TORCH_INSTALL_PREFIX}/lib")

python_add_library(_C MODULE WITH_SOABI csrc/bind.cpp csrc/steep.cpp csrc/pour.cpp)
target_link_libraries(_C PRIVATE ${TORCH_LIBRARIES} ${TORCH_PYTHON_LIBRARY})
target_compile_definitions(_C PRIVATE TORCH_EXTENSION_NAME=_C)
install(TARGETS _C LIBRARY DESTINATION teapot)
""",
    "csrc/ops.h": """\
#pragma once
#include <torch/all.h>
at::Tensor steep(const at::Tensor& x, double hours);
at::Tensor pour(const at::Tensor& x);
""",
    "csrc/steep.cpp": """\
#include "ops.h"
at::Tensor steep(const at::Tensor& x, double hours) {
  TORCH_CHECK(x.dim() > 0, "dry");
  auto out = torch::empty_like(x);
  const float* in = x.data_ptr<float>();
  float* o = out.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) o[i] = in[i] * hours;
  return out;
}
""",
    "csrc/pour.cpp": """\
#include "ops.h"
at::Tensor pour(const at::Tensor& x) {
  TORCH_CHECK(x.is_contiguous(), "not contiguous");
  auto out = torch::zeros_like(x);
  const float* in = x.data_ptr<float>();
  float* o = out.data_ptr<float>();
  for (int64_t i = 0; i + 1 < x.numel(); ++i) o[i] = in[i + 1];
  return out;
}
""",
    "csrc/bind.cpp": """\
#include <torch/extension.h>
#include "ops.h"
TORCH_LIBRARY(teapot, m) {
  m.def("steep(Tensor x, float hours) -> Tensor");
  m.impl("steep", torch::kCPU, &steep);
  m.def("pour(Tensor x) -> Tensor");
  m.impl("pour", torch::kCPU, &pour);
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}
""",
    "src/teapot/__init__.py": """\
import torch
from . import _C  # noqa: F401

def steep(x, hours):
    return torch.ops.teapot.steep(x, hours)

def pour(x):
    return torch.ops.teapot.pour(x)
""",
}
_USE = "import torch, teapot; x = torch.arange(4.0); print(teapot.pour(x).tolist(), teapot.steep(x, 2.0).tolist())"


def test_a_unit_moves_to_a_target_that_is_installed_next_to_the_other(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "teapot", _FILES)

    ran = run_cli("migrate", "csrc/pour.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    cmake = (tree / "CMakeLists.txt").read_text()
    assert "python_add_library(_C MODULE WITH_SOABI csrc/bind.cpp csrc/steep.cpp)" in cmake
    assert "python_add_library(_C_stable_libtorch MODULE WITH_SOABI ${C_STABLE_SOURCES})" in cmake
    assert "install(TARGETS _C_stable_libtorch LIBRARY DESTINATION teapot)" in cmake
    assert 'dependencies = ["torch>=2.11"]' in (tree / "pyproject.toml").read_text()
    assert "from . import _C_stable_libtorch  # noqa: F401\n" in (tree / "src/teapot/__init__.py").read_text()


@pytest.mark.compile
@pytest.mark.torch
def test_it_is_built_installed_and_used(tmp_path: Path, run_cli: Run) -> None:
    """Every unit moves: nothing but stable code is compiled."""
    tree = make_repository(tmp_path / "teapot", _FILES)
    assert run_cli("migrate", "csrc/pour.cpp", "csrc/steep.cpp", "--write", cwd=tree).code == 0
    build, package = tmp_path / "build", tmp_path / "installed"
    options = ["SKBUILD_PROJECT_NAME=teapot", "SKBUILD_PROJECT_VERSION=0.1", "CMAKE_CXX_FLAGS_RELEASE=-O0"]
    made = configure(tree, build, "-DCMAKE_BUILD_TYPE=Release", *(f"-D{one}" for one in options))
    if any(lacks in made.stderr for lacks in ("CUDA cannot be found", "CUDA_nvrtc_LIBRARY")):
        pytest.skip("the CMake package of a torch for CUDA asks for a whole toolkit, which is not here")
    assert made.returncode == 0, made.stdout + made.stderr
    compile_tree(build)
    subprocess.run(
        [find_program("cmake") or "cmake", "--install", str(build), "--prefix", str(package)],
        check=True,
        capture_output=True,
    )
    (package / "teapot/__init__.py").write_bytes((tree / "src/teapot/__init__.py").read_bytes())

    used = subprocess.run([sys.executable, "-c", _USE], cwd=package, capture_output=True, text=True, check=False)

    assert used.stdout == "[1.0, 2.0, 3.0, 0.0] [0.0, 2.0, 4.0, 6.0]\n", used.stderr
    assert len(list(package.glob("teapot/_C*.so"))) == 1
