"""One file of bindings built into a library for each instruction set: each has a counterpart, with its flags."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

_KERNEL = """\
#include "ops.h"
void {name}(at::Tensor& out, const at::Tensor& in) {{
  TORCH_CHECK(out.numel() == in.numel(), "{name}: as many");
  const float* from = in.data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (int64_t i = 0; i < in.numel(); i++) to[i] = from[i] + {number};
}}
"""
_NAMES = ("add_one", "add_two", "add_wide")
_BINDINGS = """\
#include <Python.h>
#include <torch/library.h>
#include "ops.h"
{own}
#define MODULE_OF(name) PyInit_##name
#define MODULE(name) MODULE_OF(name)
TORCH_LIBRARY_FRAGMENT(TORCH_EXTENSION_NAME, m) {{
  m.def("add_one(Tensor(a!) out, Tensor x) -> ()");
  m.impl("add_one", torch::kCPU, &add_one);
  m.def("add_two(Tensor(a!) out, Tensor x) -> ()");
  m.impl("add_two", torch::kCPU, &add_two);
#ifdef WIDE
  m.def("add_wide(Tensor(a!) out, Tensor x) -> ()");
  m.impl("add_wide", torch::kCPU, &add_wide);
#endif
}}
extern "C" PyMODINIT_FUNC MODULE(MODULE_NAME)() {{
  static PyModuleDef module = {{PyModuleDef_HEAD_INIT, "module", nullptr, -1, nullptr}};
  return PyModule_Create(&module);
}}
"""
_PYTHON = """\
import os

if os.environ.get("WIDE"):
    import simd._wide
else:
    import simd._plain
"""
_HEAD = """\
cmake_minimum_required(VERSION 3.26)
project(simd LANGUAGES CXX)
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module Development.SABIModule)
find_package(Torch REQUIRED)
include_directories(${TORCH_INCLUDE_DIRS})
link_libraries(${TORCH_LIBRARIES})
"""
_EACH = """
function(flags_of name)
  target_compile_definitions(${name} PRIVATE MODULE_NAME=${name} TORCH_EXTENSION_NAME=${name})
endfunction()
if(NOT PORTABLE)
  set(WIDE_SRC csrc/bind.cpp csrc/add_one.cpp csrc/add_two.cpp csrc/add_wide.cpp)
  Python_add_library(_wide MODULE USE_SABI 3.9 ${WIDE_SRC})
  target_compile_options(_wide PRIVATE -mavx2)
  target_compile_definitions(_wide PRIVATE WIDE MODULE_NAME=_wide TORCH_EXTENSION_NAME=_wide)
  set(PLAIN_SRC csrc/bind.cpp csrc/add_one.cpp csrc/add_two.cpp)
  Python_add_library(_plain MODULE USE_SABI 3.9 ${PLAIN_SRC})
  target_compile_definitions(_plain PRIVATE MODULE_NAME=_plain TORCH_EXTENSION_NAME=_plain)
else()
  set(SRC csrc/bind.cpp csrc/add_one.cpp csrc/add_two.cpp)
  Python_add_library(_plain MODULE USE_SABI 3.9 ${SRC})
  target_compile_definitions(_plain PRIVATE MODULE_NAME=_plain TORCH_EXTENSION_NAME=_plain)
  if(SLOW)
    target_compile_options(_plain PRIVATE -O0)
  endif()
endif()
"""
_COMMON = """
set(SRC csrc/bind.cpp csrc/add_one.cpp csrc/add_two.cpp)
set(WIDE_SRC csrc/add_wide.cpp)
Python_add_library(_wide MODULE USE_SABI 3.9 ${SRC} ${WIDE_SRC})
target_compile_options(_wide PRIVATE -mavx2)
target_compile_definitions(_wide PRIVATE WIDE MODULE_NAME=_wide)
Python_add_library(_plain MODULE USE_SABI 3.9 ${SRC})
target_compile_definitions(_plain PRIVATE MODULE_NAME=_plain)
"""


def _tree(folder: Path, cmake: str, own: str = "") -> Path:
    files = {f"csrc/{name}.cpp": _KERNEL.format(name=name, number=at) for at, name in enumerate(_NAMES)}
    declared = "".join(f"void {name}(at::Tensor& out, const at::Tensor& in);\n" for name in _NAMES)
    files["csrc/ops.h"] = f"#pragma once\n#include <ATen/ATen.h>\n{declared}"
    files["csrc/bind.cpp"] = _BINDINGS.format(own=own)
    files["simd/__init__.py"] = _PYTHON
    files["CMakeLists.txt"] = _HEAD + cmake
    return make_repository(folder / "simd", files)


def _migrated(tree: Path, run_cli: Run, groups: Sequence[str]) -> str:
    for group in groups:
        ran = run_cli("migrate", group, "--write", cwd=tree)
        assert ran.code == 0, ran
        subprocess.run(["git", "add", "-A"], cwd=tree, check=True)
        identity = ("-c", "user.name=n", "-c", "user.email=n@example.org")
        subprocess.run(["git", *identity, "commit", "-qm", group], cwd=tree, check=True)
    return (tree / "CMakeLists.txt").read_text()


def test_each_library_has_a_counterpart_with_its_flags(tmp_path: Path, run_cli: Run) -> None:
    tree = _tree(tmp_path, _EACH)

    cmake = _migrated(tree, run_cli, ["add_one"])

    assert cmake.count("Python_add_library(_wide_stable_libtorch MODULE") == 1, cmake
    assert cmake.count("Python_add_library(_plain_stable_libtorch MODULE") == 2, cmake
    assert cmake.count("target_compile_options(_wide_stable_libtorch PRIVATE -mavx2)") == 1
    assert cmake.count("target_compile_options(_plain_stable_libtorch PRIVATE -O0)") == 1
    assert cmake.count("STABLE_LIBRARY=_wide_stable_libtorch STABLE_NAMESPACE=_wide)") == 1
    assert cmake.count("STABLE_LIBRARY=_plain_stable_libtorch STABLE_NAMESPACE=_plain)") == 2
    assert "-mavx2)\n  target_compile_options(_plain_stable" not in cmake
    bindings = [path for path in tree.glob("csrc/libtorch_stable/*.cpp") if "FRAGMENT" in path.read_text()]
    assert len(bindings) == 1
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(STABLE_NAMESPACE, m)" in bindings[0].read_text()
    python = (tree / "simd/__init__.py").read_text().splitlines()
    for name in ("_wide", "_plain"):
        at = python.index(f"    import simd.{name}")
        assert python[at + 1].startswith(f"    import simd.{name}_stable_libtorch")


def test_the_last_group_takes_every_legacy_library_along(tmp_path: Path, run_cli: Run) -> None:
    tree = _tree(tmp_path, _EACH)

    cmake = _migrated(tree, run_cli, ["add_wide", "add_one", "add_two"])

    assert cmake.count('"csrc/libtorch_stable/add_two.cpp"') == 3, cmake
    assert cmake.count('"csrc/libtorch_stable/add_wide.cpp"') == 1, cmake
    stable = (tree / "csrc/libtorch_stable/torch_bindings.cpp").read_text()
    assert stable.count("STABLE_TORCH_LIBRARY_IMPL(STABLE_NAMESPACE, CPU, m)") == 1, stable
    assert stable.index("#ifdef WIDE") < stable.index('m.def("add_wide')


def test_all_in_one_request_asks_no_library_for_what_its_flags_hide(tmp_path: Path, run_cli: Run) -> None:
    tree = _tree(tmp_path, _EACH)

    ran = run_cli("migrate", "add_one", "add_two", "add_wide", "--write", cwd=tree)

    assert ran.code == 0, ran
    cmake = (tree / "CMakeLists.txt").read_text()
    assert cmake.count('"csrc/libtorch_stable/add_wide.cpp"') == 1, cmake


def test_a_list_that_two_libraries_read_gives_each_a_list(tmp_path: Path, run_cli: Run) -> None:
    tree = _tree(tmp_path, _COMMON, own="#define TORCH_EXTENSION_NAME simd_ops")

    cmake = _migrated(tree, run_cli, ["add_one", "add_wide", "add_two"])

    assert cmake.count('"csrc/libtorch_stable/add_one.cpp"') == 2, cmake
    assert cmake.count('"csrc/libtorch_stable/add_two.cpp"') == 2, cmake
    assert cmake.count('"csrc/libtorch_stable/add_wide.cpp"') == 1, cmake
    assert "STABLE_NAMESPACE" not in cmake
    stable = (tree / "csrc/libtorch_stable/torch_bindings.cpp").read_text()
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(simd_ops, m)" in stable


def test_in_place_the_build_goes_on_to_name_the_namespace(tmp_path: Path, run_cli: Run) -> None:
    tree = _tree(tmp_path, _EACH)

    ran = run_cli("migrate", "add_one", "add_two", "add_wide", "--in-place", "--write", cwd=tree)

    assert ran.code == 0, ran
    bindings = (tree / "csrc/bind.cpp").read_text()
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(TORCH_EXTENSION_NAME, m)" in bindings
    assert "STABLE_TORCH_LIBRARY_IMPL(TORCH_EXTENSION_NAME, CPU, m)" in bindings
    cmake = (tree / "CMakeLists.txt").read_text()
    assert cmake.count("TORCH_TARGET_VERSION") == 3
    assert "_stable_libtorch" not in cmake


_LOADED = """\
import torch
import simd._plain_stable_libtorch, simd._wide_stable_libtorch

x, out = torch.ones(3), torch.empty(3)
for call, wanted in ((torch.ops._wide.add_two, 2), (torch.ops._plain.add_one, 1), (torch.ops._wide.add_wide, 3)):
    call(out, x)
    assert out.tolist() == [wanted] * 3, (call, out)
assert not hasattr(torch.ops._plain, "add_wide")
"""


@pytest.mark.compile
@pytest.mark.torch
def test_each_library_registers_under_its_own_name(tmp_path: Path, run_cli: Run) -> None:
    torch = Path(pytest.importorskip("torch").__file__).parent
    tree = _tree(tmp_path, _EACH)
    _migrated(tree, run_cli, ["add_wide", "add_one", "add_two"])

    for name, flags in (("_wide", ("-DWIDE",)), ("_plain", ())):
        sources = [p for p in sorted(tree.glob("csrc/libtorch_stable/*.cpp")) if flags or p.stem != "add_wide"]
        library = f"{name}_stable_libtorch"
        defined = (
            f"STABLE_LIBRARY={library}",
            f"STABLE_NAMESPACE={name}",
            "TORCH_TARGET_VERSION=0x020b000000000000ULL",
        )
        folders = (torch / "include", Path(sysconfig.get_paths()["include"]))
        link = (f"-L{torch}/lib", "-ltorch_cpu", "-ltorch", "-lc10", f"-Wl,-rpath,{torch}/lib")
        command = ["g++", "-std=c++17", "-O0", "-shared", "-fPIC", *flags, *(f"-D{one}" for one in defined)]
        command += [*(f"-I{folder}" for folder in folders), *map(str, sources), *link]
        subprocess.run([*command, "-o", str(tree / f"simd/{library}.abi3.so")], check=True)

    (tree / "simd/__init__.py").write_text("")
    subprocess.run([sys.executable, "-c", _LOADED], cwd=tree, check=True)
