"""A library for one device next to those of others: a counterpart of its own, with that device's flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

_KERNEL = """\
#include "ops.h"
void {name}(torch::Tensor& x) {{
  TORCH_CHECK(x.dim() == 1, "{name}: one dimension");
  x.data_ptr<float>()[0] = 1;
}}
"""
_BINDINGS = """\
#include <Python.h>
#include <torch/library.h>
#include "ops.h"
TORCH_LIBRARY(_amd, m) {
  m.def("fold(Tensor(a!) x) -> ()");
  m.impl("fold", torch::kCUDA, &fold);
  m.def("tile(Tensor(a!) x) -> ()");
  m.impl("tile", torch::kCUDA, &tile);
}
extern "C" PyMODINIT_FUNC PyInit__amd() {
  static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_amd", nullptr, -1, nullptr};
  return PyModule_Create(&module);
}
"""
_CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(duo LANGUAGES CXX)
find_package(Torch REQUIRED)
vendor_sources(VENDOR_SRC)
Python_add_library(_vendor_C MODULE ${VENDOR_SRC})
target_compile_definitions(_vendor_C PRIVATE TORCH_TARGET_VERSION=0x020b000000000000ULL)
if(USE_ROCM)
  set(AMD_SRC csrc/bindings.cpp csrc/fold.cu)
  add_library(amd_slow OBJECT csrc/tile.cu)
  add_library(amd_math STATIC csrc/math.cpp)
  Python_add_library(_amd MODULE ${AMD_SRC})
  target_link_libraries(_amd PRIVATE amd_slow amd_math m)
  target_compile_options(_amd PRIVATE --offload-compress)
endif()
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A library for AMD's devices, and a stable one of other sources, which no file of the tree names."""
    files = {f"csrc/{name}.cu": _KERNEL.format(name=name) for name in ("fold", "tile")}
    files["csrc/ops.h"] = (
        "#pragma once\n#include <torch/all.h>\nvoid fold(torch::Tensor& x);\nvoid tile(torch::Tensor& x);\n"
    )
    files |= {"csrc/bindings.cpp": _BINDINGS, "csrc/math.cpp": "int twice(int n) { return n + n; }\n"}
    files |= {"CMakeLists.txt": _CMAKE, "duo/__init__.py": "from . import _amd\n"}
    return make_repository(tmp_path / "duo", files)


def test_the_library_gets_a_counterpart_and_is_loaded(tree: Path, run_cli: Run) -> None:
    ran = run_cli("migrate", "csrc/fold.cu", "--write", cwd=tree)

    assert ran.code == 0, ran
    cmake = (tree / "CMakeLists.txt").read_text()
    assert "  Python_add_library(_amd_stable_libtorch MODULE ${AMD_STABLE_SRC})" in cmake, cmake
    assert "target_compile_options(_amd_stable_libtorch PRIVATE --offload-compress)" in cmake
    assert (tree / "duo/__init__.py").read_text().count("_amd_stable_libtorch") == 1


def test_it_has_the_macro_of_its_device_alone(tree: Path, run_cli: Run) -> None:
    run_cli("migrate", "csrc/fold.cu", "--write", cwd=tree)

    cmake = (tree / "CMakeLists.txt").read_text()
    assert "target_compile_definitions(_amd_stable_libtorch PRIVATE USE_ROCM)" in cmake, cmake
    assert "USE_CUDA" not in cmake


def test_libraries_of_the_project_that_use_torch_are_not_linked_into_it(tree: Path, run_cli: Run) -> None:
    ran = run_cli("migrate", "csrc/fold.cu", "--write", cwd=tree)

    cmake = (tree / "CMakeLists.txt").read_text()
    assert "target_link_libraries(_amd_stable_libtorch PRIVATE amd_math m)" in cmake, cmake
    assert "amd_slow, which may use torch's C++ API, is not linked into _amd_stable_libtorch" in ran.out


@pytest.mark.parametrize(
    ("included", "macro"),
    [
        ("#include <hip/hip_runtime.h>\n", "USE_ROCM"),
        ("#include <c10/hip/HIPStream.h>\n", "USE_ROCM"),
        ("#ifdef USE_ROCM\n#include <hip/hip_fp16.h>\n#else\n#include <cuda_fp16.h>\n#endif\n", "USE_CUDA"),
        ("", "USE_CUDA"),
    ],
)
def test_headers_tell_the_device_where_no_condition_does(
    tmp_path: Path, run_cli: Run, included: str, macro: str
) -> None:
    cmake = (
        "cmake_minimum_required(VERSION 3.26)\nproject(duo LANGUAGES CXX)\nfind_package(Torch REQUIRED)\n"
        "set(AMD_SRC csrc/bindings.cpp csrc/fold.cu csrc/tile.cu)\nPython_add_library(_amd MODULE ${AMD_SRC})\n"
    )
    files = {f"csrc/{name}.cu": included + _KERNEL.format(name=name) for name in ("fold", "tile")}
    files |= {
        "csrc/ops.h": "#pragma once\n#include <torch/all.h>\nvoid fold(torch::Tensor& x);\nvoid tile(torch::Tensor& x);\n"
    }
    files |= {"csrc/bindings.cpp": _BINDINGS, "CMakeLists.txt": cmake, "duo/__init__.py": "from . import _amd\n"}
    tree = make_repository(tmp_path / "duo", files)
    run_cli("migrate", "csrc/fold.cu", "--write", cwd=tree)

    written = (tree / "CMakeLists.txt").read_text()
    assert f"target_compile_definitions(_amd_stable_libtorch PRIVATE {macro})" in written, written
