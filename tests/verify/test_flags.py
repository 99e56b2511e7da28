"""The flags of the project's own build reach both sides; macros that stay undefined are named."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from torch_stabilize.model import Refusal
from torch_stabilize.source.document import Document
from torch_stabilize.verify.flags import ProjectFlags, flags_of_call, is_in_build, read_database
from torch_stabilize.verify.side import UnitFlags
from torch_stabilize.verify.toolchain import Toolchain, TorchInstall
from torch_stabilize.verify.trees import folder_tree
from torch_stabilize.verify.undefined import undefined_macros

CPU = Toolchain("c++", "ninja", TorchInstall("2.13.0", Path("/t"), Path("/t")), Path("/py"))
SETUP = """
import os
import torch
from setuptools import setup
from torch.utils.cpp_extension import CppExtension, CUDAExtension

macros = [("LOUD", None), ("HEIGHT", "3"), ("TORCH_EXTENSION_NAME", "other")]
kind = CppExtension
if torch.cuda.is_available():
    macros += [("WITH_CUDA", None)]
    kind = CUDAExtension
setup(
    name="amp",
    ext_modules=[
        kind("amp._C", ["csrc/amp.cpp"], define_macros=macros, extra_compile_args={"cxx": ["-O3", "-DSOFT=1"]}),
        kind("amp._other", ["csrc/other.cpp"], define_macros=[("OTHER", None)]),
    ],
)
"""


def flags(root: Path, files: dict[str, str], tools: Toolchain = CPU, library: str = "_C") -> UnitFlags:
    for name, text in {"csrc/amp.cpp": "#include <torch/extension.h>\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return ProjectFlags(folder_tree(root, ""), tools).of(library, ("csrc/amp.cpp",))


def test_setup_py_gives_each_library_its_macros(tmp_path: Path) -> None:
    found = flags(tmp_path, {"setup.py": SETUP, "csrc/other.cpp": ""})
    assert found.host == ("-DLOUD", "-DHEIGHT=3", "-DSOFT=1")
    assert found.cuda == ("-DLOUD", "-DHEIGHT=3", "-DWITH_CUDA", "-DSOFT=1")
    assert flags(tmp_path, {}, library="_other").host == ("-DOTHER",)


def test_cmake_gives_host_units_the_flags_of_a_build_without_cuda(tmp_path: Path) -> None:
    cmake = """
cmake_minimum_required(VERSION 3.18)
project(amp LANGUAGES CXX)
find_package(Torch REQUIRED)
Python_add_library(_C MODULE csrc/amp.cpp)
target_compile_definitions(_C PRIVATE LOUD TORCH_TARGET_VERSION=0x020a000000000000ULL)
set_source_files_properties(csrc/amp.cpp PROPERTIES COMPILE_DEFINITIONS "OWN=1")
if(CUDA_FOUND)
  target_compile_definitions(_C PRIVATE WITH_CUDA)
endif()
"""
    found = flags(tmp_path, {"CMakeLists.txt": cmake})
    assert (found.host, found.gpu) == (("-DLOUD",), ("-DLOUD",))
    assert found.own == {"csrc/amp.cpp": ("-DOWN=1",)}
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.1'\necho compute_90\n")
    nvcc.chmod(0o755)
    with_nvcc = Toolchain(CPU.cxx, CPU.ninja, CPU.torch, CPU.python_include, nvcc=str(nvcc))
    found = flags(tmp_path, {}, with_nvcc)
    assert (found.host, found.cuda) == (("-DLOUD",), ("-DLOUD", "-DWITH_CUDA"))


@pytest.mark.parametrize(
    ("condition", "cpu", "gpu"),
    [
        ("torch.cuda.is_available()", False, True),
        ("not torch.cuda.is_available()", True, False),
        ("IS_ROCM", False, False),
        ("not torch.version.hip", True, True),
        ("torch.version.hip is None", True, True),
        ("CUDA_HOME is not None", False, True),
        ("DEBUG", True, True),
    ],
)
def test_what_is_in_a_build(condition: str, cpu: bool, gpu: bool) -> None:
    assert (is_in_build([condition], False), is_in_build([condition], True)) == (cpu, gpu)


def test_a_compilation_database_gives_each_unit_its_own_flags(tmp_path: Path) -> None:
    calls = [
        {
            "directory": str(tmp_path / "build"),
            "file": "../csrc/amp.cpp",
            "command": "c++ -DLOUD -I../csrc -isystem /opt/lib/include -I/usr/lib/torch/include -c ../csrc/amp.cpp",
        },
        {"directory": str(tmp_path), "file": "csrc/amp.cu", "arguments": ["nvcc", "-DGPU", "-c", "csrc/amp.cu"]},
        {"directory": str(tmp_path), "file": "/elsewhere/x.cpp", "arguments": ["c++", "-DX", "/elsewhere/x.cpp"]},
    ]
    path = tmp_path / "compile_commands.json"
    path.write_text(json.dumps(calls))
    found = read_database(path, tmp_path)
    assert found == {"csrc/amp.cpp": ("-DLOUD", "-isystem", "/opt/lib/include"), "csrc/amp.cu": ("-DGPU",)}
    flags(tmp_path, {})  # a unit, so that there is a tree
    tree = folder_tree(tmp_path, "")
    own = ProjectFlags(tree, CPU, found).of("_C", ("csrc/amp.cpp", "csrc/new.cpp")).own
    assert own["csrc/amp.cpp"] == found["csrc/amp.cpp"]
    assert own["csrc/new.cpp"] == found["csrc/amp.cpp"]  # what all units have in common
    path.write_text("[{}]")
    with pytest.raises(Refusal, match="is no compilation database"):
        read_database(path, tmp_path)


def test_a_macro_is_read_from_a_call_in_both_forms() -> None:
    words = ["c++", "-D", "A", "-DB=2", "-UC", "-fopenmp", "-Iown", "-O2", "-DUSE_CUDA"]
    assert flags_of_call(words, Path("/p"), Path("/p")) == ("-DA", "-DB=2", "-UC", "-fopenmp")


CODE = b"""
#ifndef AMP_H
#define AMP_H
#include "own.h"
#ifdef WITH_AMP
int amp();
#endif
#if defined(LOUD) && !defined(SOFT) && HEIGHT > 3
int loud();
#elif defined(QUIET) || defined(USE_ROCM) || __CUDA_ARCH__ >= 800 || CUDA_VERSION >= 12000
#endif
#if __has_include("x.h") && MAX_HEIGHT(3) // LATER
#endif
#endif
"""


def test_macros_that_nothing_defines_are_named_with_their_place() -> None:
    document = Document("csrc/amp.h", CODE)
    found = undefined_macros([document], [CODE, b"#define HEIGHT 4\n"], ["-DLOUD=1", "-O2"])
    assert [(one.name, one.line) for one in found] == [("WITH_AMP", 5), ("QUIET", 10)]
    assert undefined_macros([document], [CODE], ["-DWITH_AMP", "-DLOUD", "-DQUIET", "-DHEIGHT=1"]) == ()


def test_the_compiler_agrees_that_it_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "amp.cpp").write_text(CODE.decode().replace('#include "own.h"\n', "").replace("MAX_HEIGHT(3)", "0"))
    said = subprocess.run(
        ["c++", "-E", "-DLOUD", "-DHEIGHT=4", "amp.cpp"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "int loud" in said.stdout
    assert "int amp" not in said.stdout
