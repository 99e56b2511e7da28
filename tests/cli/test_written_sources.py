"""Sources that a script writes when the build is configured: script, headers and lists move with what needs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import Run, make_repository

_CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(mill LANGUAGES CXX)
find_package(Python COMPONENTS Interpreter Development.Module)
find_package(Torch REQUIRED)
set(EXT_SRC "csrc/bindings.cpp")

set(WRITER ${CMAKE_CURRENT_SOURCE_DIR}/csrc/grind/write.py)
execute_process(COMMAND ${Python_EXECUTABLE} ${WRITER})

if(WITH_GRIND)
  file(GLOB GRIND_SRC "csrc/grind/stone_*.cpp")
  set_source_files_properties(${GRIND_SRC} PROPERTIES COMPILE_FLAGS "-O3")
  list(APPEND EXT_SRC ${GRIND_SRC})
  set(MAIN_SRC "csrc/grind/grind.cpp")
  list(APPEND EXT_SRC ${MAIN_SRC})
endif()

list(APPEND EXT_SRC "csrc/rinse.cpp")
python_add_library(_C MODULE ${EXT_SRC} WITH_SOABI)
target_link_libraries(_C PRIVATE ${TORCH_LIBRARIES})
install(TARGETS _C DESTINATION mill)
"""
_SCRIPT = '''\
"""Writes one unit for each width."""
import os

from stone_names import TENSOR

HERE = os.path.dirname(__file__)
HEAD = """
#include "stone.h"
#include "../rinse.h"
"""
BODY = """
void grind_%d(const torch::Tensor& x) {
  TORCH_CHECK(x.dim() == %d, "width");
}
"""
for width in (1, 2):
    with open(os.path.join(HERE, f"stone_{width}.cpp"), "w") as file:
        file.write(HEAD + BODY % (width, width))
'''
_FILES = {
    "CMakeLists.txt": _CMAKE,
    "mill/__init__.py": "from . import _C\n",
    "csrc/grind/write.py": _SCRIPT,
    "csrc/grind/stone_names.py": 'TENSOR = "at::Tensor"\n',
    "csrc/grind/stone.h": "#pragma once\n#include <torch/all.h>\nvoid grind_1(const torch::Tensor& x);\n"
    "void grind_2(const torch::Tensor& x);\n",
    "csrc/grind/grind.cpp": '#include "stone.h"\n#include "../rinse.h"\nvoid grind(const torch::Tensor& x) {\n'
    "  if (x.dim() == 1) grind_1(x); else grind_2(x);\n}\n",
    "csrc/rinse.h": "#pragma once\ninline int rinsed() { return 1; }\n",
    "csrc/rinse.cpp": '#include <torch/all.h>\n#include "rinse.h"\nvoid rinse(const torch::Tensor& x) { rinsed(); }\n',
    "csrc/bindings.cpp": "#include <torch/library.h>\n#include <torch/all.h>\nvoid grind(const torch::Tensor& x);\n"
    "void rinse(const torch::Tensor& x);\n"
    "TORCH_LIBRARY(mill, m) {\n"
    '  m.def("grind(Tensor x) -> ()");\n  m.def("rinse(Tensor x) -> ()");\n}\n'
    'TORCH_LIBRARY_IMPL(mill, CPU, m) {\n  m.impl("grind", &grind);\n  m.impl("rinse", &rinse);\n}\n',
}


def test_the_script_moves_with_what_includes_the_same_headers(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "mill", _FILES)

    ran = run_cli("migrate", "csrc/grind/grind.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    stable = tree / "csrc/libtorch_stable/grind"
    assert sorted(path.name for path in stable.iterdir()) == ["grind.cpp", "stone.h", "write.py"]
    assert [path.name for path in (tree / "csrc/grind").iterdir()] == ["stone_names.py"]
    assert 'TENSOR = "torch::stable::Tensor"' in (tree / "csrc/grind/stone_names.py").read_text()
    cmake = (tree / "CMakeLists.txt").read_text()
    assert "${CMAKE_CURRENT_SOURCE_DIR}/csrc/libtorch_stable/grind/write.py" in cmake
    assert "csrc/grind" not in cmake
    assert '"csrc/libtorch_stable/grind/stone_*.cpp"' in cmake
    assert cmake.count("list(APPEND EXT_SRC") == 1  # rinse's
    subprocess.run([sys.executable, stable / "write.py"], check=True, env={"PYTHONPATH": str(tree / "csrc/grind")})
    written = (stable / "stone_2.cpp").read_text()
    assert '#include "stone.h"' in written
    assert '#include "../../rinse.h"' in written
    assert "const torch::stable::Tensor& x" in written
    assert 'STD_TORCH_CHECK(x.dim() == 2, "width");' in written


def test_a_second_run_changes_nothing(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "mill", _FILES)
    run_cli("migrate", "csrc/grind/grind.cpp", "--commit", cwd=tree)
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file() and ".git" not in path.parts}

    ran = run_cli("migrate", "csrc/grind/grind.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    assert before == {
        path: path.read_bytes() for path in tree.rglob("*") if path.is_file() and ".git" not in path.parts
    }


def test_it_stays_where_others_need_what_it_writes(tmp_path: Path, run_cli: Run) -> None:
    more = {"csrc/rinse.cpp": '#include "grind/stone.h"\n' + _FILES["csrc/rinse.cpp"]}
    tree = make_repository(tmp_path / "mill", _FILES | more)

    ran = run_cli("migrate", "csrc/grind/grind.cpp", "--write", cwd=tree)

    assert ran.code == 1, ran
    assert "TSA661" in ran.out
    assert "csrc/rinse.cpp" in ran.out
    assert (tree / "csrc/grind/write.py").read_text() == _SCRIPT
    assert '"csrc/grind/stone_*.cpp"' in (tree / "CMakeLists.txt").read_text()


def test_in_place_the_templates_migrate_where_they_are(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "mill", _FILES)

    ran = run_cli("migrate", "csrc/grind/grind.cpp", "csrc/rinse.cpp", "--in-place", "--write", cwd=tree)

    assert ran.code == 0, ran
    script = (tree / "csrc/grind/write.py").read_text()
    assert '#include "../rinse.h"' in script
    assert "const torch::stable::Tensor& x" in script
    assert '"csrc/grind/stone_*.cpp"' in (tree / "CMakeLists.txt").read_text()


def test_what_is_told_where_to_write_stays_there(tmp_path: Path, run_cli: Run) -> None:
    script = _SCRIPT.replace("import os\n", "import os\nimport sys\n").replace(
        "os.path.dirname(__file__)", "sys.argv[1]"
    )
    cmake = _CMAKE.replace("${WRITER})", "${WRITER} ${CMAKE_CURRENT_SOURCE_DIR}/csrc/grind)")
    tree = make_repository(tmp_path / "mill", _FILES | {"csrc/grind/write.py": script, "CMakeLists.txt": cmake})

    ran = run_cli("migrate", "csrc/grind/grind.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    script = (tree / "csrc/grind/write.py").read_text()
    assert '#include "../libtorch_stable/grind/stone.h"' in script
    assert '#include "../rinse.h"' in script
    cmake = (tree / "CMakeLists.txt").read_text()
    assert "${WRITER} ${CMAKE_CURRENT_SOURCE_DIR}/csrc/grind)" in cmake
    assert '"csrc/grind/stone_*.cpp"' in cmake
    assert cmake.count("list(APPEND EXT_SRC") == 1


def test_setup_py_finds_what_is_written(tmp_path: Path, run_cli: Run) -> None:
    setup = """\
import glob
import subprocess
import sys

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

subprocess.check_call([sys.executable, "csrc/grind/write.py"])
sources = ["csrc/bindings.cpp", "csrc/rinse.cpp", "csrc/grind/grind.cpp"]
sources += glob.glob("csrc/grind/stone_*.cpp")
setup(
    name="mill",
    packages=["mill"],
    ext_modules=[CppExtension("mill._C", sources)],
    cmdclass={"build_ext": BuildExtension},
)
"""
    files = {path: text for path, text in _FILES.items() if path != "CMakeLists.txt"} | {"setup.py": setup}
    tree = make_repository(tmp_path / "mill", files)

    ran = run_cli("migrate", "csrc/grind/grind.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    after = (tree / "setup.py").read_text()
    assert "csrc/libtorch_stable/grind/write.py" in after
    assert 'glob.glob("csrc/libtorch_stable/grind/stone_*.cpp")' in after
    assert (tree / "csrc/libtorch_stable/grind/write.py").exists()
