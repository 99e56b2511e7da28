"""Small extensions whose plans are right: what the tests of the plan's check start from."""

from __future__ import annotations

OPS_H = """\
#pragma once
#include <torch/all.h>
at::Tensor blur(const at::Tensor& x, double by);
at::Tensor sharpen(const at::Tensor& x, double by);
int64_t rows(const at::Tensor& x);
"""
SHARED_H = """\
#pragma once
namespace img {
extern int calls;
int clamp(int value, int low, int high);
template <typename T> void fill(T* out, int count);
struct Window {
  explicit Window(int size);
  int size() const;
};
}  // namespace img
"""
SHARED_CPP = """\
#include "shared.h"
namespace img {
int calls = 0;
int clamp(int value, int low, int high) { return value < low ? low : value > high ? high : value; }
template <> void fill<float>(float* out, int count) { for (int i = 0; i < count; ++i) out[i] = 0; }
Window::Window(int size) {}
int Window::size() const { return 1; }
}  // namespace img
"""
BLUR_CPP = """\
#include "ops.h"
#include "shared.h"
at::Tensor blur(const at::Tensor& x, double by) {
  TORCH_CHECK(x.is_contiguous(), "x must be contiguous");
  img::Window window(3);
  img::calls += img::clamp(window.size(), 0, 9);
  at::Tensor out = torch::empty_like(x);
  img::fill<float>(out.data_ptr<float>(), 1);
  return out;
}
"""
SHARPEN_CPP = """\
#include "ops.h"
at::Tensor sharpen(const at::Tensor& x, double by) {
  TORCH_CHECK(x.is_contiguous(), "x must be contiguous");
  return torch::empty_like(x);
}
"""
ROWS_CPP = '#include "ops.h"\nint64_t rows(const at::Tensor& x) { return x.size(0); }\n'
BINDINGS = """\
#include <torch/library.h>
#include "ops.h"

TORCH_LIBRARY(img, m) {
  m.def("blur(Tensor x, float by) -> Tensor");
  m.impl("blur", torch::kCPU, &blur);
  m.def("sharpen(Tensor x, float by) -> Tensor");
  m.impl("sharpen", torch::kCPU, &sharpen);
  m.def("rows(Tensor x) -> int");
  m.impl("rows", torch::kCPU, &rows);
}
"""
PYTHON = """\
import torch

from . import _C  # noqa: F401


def blur(x):
    return torch.ops.img.blur(x, 1.0)
"""

SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="img",
    packages=["img"],
    ext_modules=[
        CppExtension(
            "img._C",
            [
                "csrc/bindings.cpp",
                "csrc/blur.cpp",
                "csrc/sharpen.cpp",
                "csrc/rows.cpp",
                "csrc/shared.cpp",
            ],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
"""
CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(img LANGUAGES CXX)
set(IMG_SRC "csrc/bindings.cpp" "csrc/rows.cpp" "csrc/shared.cpp")
if(WITH_FILTERS)
  list(APPEND IMG_SRC "csrc/blur.cpp" "csrc/sharpen.cpp")
endif()
Python_add_library(_C MODULE USE_SABI 3 ${IMG_SRC})
"""

_SOURCES = {
    "csrc/ops.h": OPS_H,
    "csrc/shared.h": SHARED_H,
    "csrc/shared.cpp": SHARED_CPP,
    "csrc/blur.cpp": BLUR_CPP,
    "csrc/sharpen.cpp": SHARPEN_CPP,
    "csrc/rows.cpp": ROWS_CPP,
    "csrc/bindings.cpp": BINDINGS,
    "img/__init__.py": PYTHON,
}
WITH_SETUP = {**_SOURCES, "setup.py": SETUP}
WITH_CMAKE = {**_SOURCES, "CMakeLists.txt": CMAKE}

PYBIND = {
    "csrc/twice.cpp": """\
#include <torch/extension.h>
at::Tensor twice(const at::Tensor& x) {
  TORCH_CHECK(x.is_contiguous(), "x must be contiguous");
  return torch::empty_like(x);
}
""",
    "csrc/bind.cpp": """\
#include <torch/extension.h>
at::Tensor twice(const at::Tensor& x);
int64_t count(int64_t n) { return n; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("twice", &twice);
  m.def("count", &count);
}
""",
    "num/__init__.py": "",
    "num/ops.py": "from . import _num\n\n\ndef twice(x):\n    return _num.twice(x)\n\n\ndef count(n):\n    return _num.count(n)\n",
    "setup.py": """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="num",
    packages=["num"],
    ext_modules=[CppExtension("num._num", ["csrc/bind.cpp", "csrc/twice.cpp"])],
    cmdclass={"build_ext": BuildExtension},
)
""",
}
