"""An alternative build, such as that for the CPU, and other projects of a repository: extensions of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

_KERNEL = """\
#include "{header}"
void {name}(torch::Tensor& x) {{
  TORCH_CHECK(x.dim() == 1, "{name}: one dimension");
  x.data_ptr<float>()[0] = 1;
}}
"""
_BINDINGS = """\
#include "{header}"
#include <Python.h>
#include <torch/library.h>
#define TORCH_EXTENSION_NAME _C
TORCH_LIBRARY(TORCH_EXTENSION_NAME, m) {{
{lines}}}
extern "C" PyMODINIT_FUNC PyInit__C() {{
  static PyModuleDef module = {{PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr}};
  return PyModule_Create(&module);
}}
"""
_PYTHON = """\
import os

if os.environ.get("DEVICE") == "cpu":
    import duo._C
else:
    import duo._C
"""
_CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(duo LANGUAGES CXX)
find_package(Torch REQUIRED)
if(DEVICE STREQUAL "cpu")
  include(cmake/cpu.cmake)
  return()
endif()
set(SRC csrc/bindings.cpp csrc/norm.cu csrc/pack.cu)
Python_add_library(_C MODULE ${SRC})
"""
_CPU = """\
set(CPU_SRC csrc/cpu/bindings.cpp csrc/cpu/norm.cpp csrc/cpu/scale.cpp)
Python_add_library(_C MODULE ${CPU_SRC})
target_compile_options(_C PRIVATE -mavx2)
"""


def _files(names: list[str], folder: str, suffix: str, key: str) -> dict[str, str]:
    header = f"{folder.rpartition('/')[2]}_ops.h"
    declared = "".join(f"void {name}(torch::Tensor& x);\n" for name in names)
    lines = "".join(f'  m.def("{n}(Tensor(a!) x) -> ()");\n  m.impl("{n}", torch::k{key}, &{n});\n' for n in names)
    return {
        **{f"{folder}/{name}.{suffix}": _KERNEL.format(name=name, header=header) for name in names},
        f"{folder}/{header}": f"#pragma once\n#include <torch/all.h>\n{declared}",
        f"{folder}/bindings.cpp": _BINDINGS.format(header=header, lines=lines),
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A GPU and a CPU build of one library, and a second project below tools."""
    files = _files(["norm", "pack"], "csrc", "cu", "CUDA") | _files(["norm", "scale"], "csrc/cpu", "cpp", "CPU")
    files |= {"CMakeLists.txt": _CMAKE, "cmake/cpu.cmake": _CPU, "duo/__init__.py": _PYTHON}
    files |= {f"extra/{path}": text for path, text in _files(["mix"], "src", "cpp", "CPU").items()}
    files["extra/setup.py"] = (
        "from setuptools import setup\nfrom torch.utils.cpp_extension import CppExtension\n\nsetup(\n    name='extra',\n"
        "    ext_modules=[CppExtension('extra._C', ['src/bindings.cpp', 'src/mix.cpp'])],\n)\n"
    )
    files["extra/extra/__init__.py"] = "from . import _C\n"
    return make_repository(tmp_path / "duo", files)


def test_scan_lists_the_groups_of_every_extension(tree: Path, run_cli: Run) -> None:
    found = json.loads(run_cli("scan", "--json", cwd=tree).out)

    names = [group["name"] for group in found["groups"]]
    assert names == ["norm", "pack", "cpu/norm", "cpu/scale", "extra/mix"]


def test_a_group_of_the_other_build_goes_to_a_counterpart_there(tree: Path, run_cli: Run) -> None:
    ran = run_cli("migrate", "cpu/norm", "--write", cwd=tree)

    assert ran.code == 0, ran
    assert (tree / "csrc/cpu/libtorch_stable/norm.cpp").exists()
    cpu = (tree / "cmake/cpu.cmake").read_text()
    assert "Python_add_library(_C_stable_libtorch MODULE ${CPU_STABLE_SRC})" in cpu, cpu
    assert "target_compile_options(_C_stable_libtorch PRIVATE -mavx2)" in cpu
    assert (tree / "CMakeLists.txt").read_text() == _CMAKE
    assert "&norm" in (tree / "csrc/bindings.cpp").read_text()
    assert "&norm" not in (tree / "csrc/cpu/bindings.cpp").read_text()


@pytest.mark.parametrize("name", ["cpu/scale", "csrc/cpu/scale.cpp", "csrc/cpu/scale.cpp csrc/cpu/norm.cpp"])
def test_paths_and_names_of_the_other_build(tree: Path, run_cli: Run, name: str) -> None:
    ran = run_cli("migrate", *name.split(), cwd=tree)

    assert ran.code == 0, ran
    assert "csrc/cpu/libtorch_stable/scale.cpp" in ran.out


def test_the_two_builds_do_not_share_a_stable_library(tree: Path, run_cli: Run) -> None:
    assert run_cli("migrate", "cpu/norm", "--write", cwd=tree).code == 0

    ran = run_cli("migrate", "pack", "--write", "--allow-dirty", cwd=tree)

    assert ran.code == 0, ran
    assert "csrc/libtorch_stable/pack.cu" in (tree / "CMakeLists.txt").read_text()
    assert "pack" not in (tree / "cmake/cpu.cmake").read_text()
    assert '"pack(' in (tree / "csrc/libtorch_stable/torch_bindings.cpp").read_text()


def test_a_series_takes_every_extension(tree: Path, run_cli: Run) -> None:
    found = json.loads(run_cli("series", "--json", cwd=tree).out)

    steps = [step["group"] for step in found["steps"]]
    assert steps == ["norm", "pack", "cpu/norm", "cpu/scale", "extra/mix"], found
    assert found["steps"][-1]["left"]["sites"] == 0, found
    done = [step["left"]["stable_operators"] for step in found["steps"]]
    assert done == sorted(done)
    assert found["steps"][-1]["left"]["operators"] == 0, found
