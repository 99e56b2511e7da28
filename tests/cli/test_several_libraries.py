"""One request that several libraries have a part in: each gives to its own counterpart, in one run."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Run, make_repository

_BIND = """\
#include <Python.h>
#include <torch/library.h>
#include <ATen/ATen.h>
void {name}(at::Tensor out);
extern "C" PyMODINIT_FUNC PyInit__{name}() {{
  static PyModuleDef module = {{PyModuleDef_HEAD_INIT, "_{name}", nullptr, -1, nullptr}};
  return PyModule_Create(&module);
}}
TORCH_LIBRARY(seeds_{name}, m) {{ m.def("{name}(Tensor(a!) out) -> ()"); }}
TORCH_LIBRARY_IMPL(seeds_{name}, CPU, m) {{ m.impl("{name}", &{name}); }}
"""
_KERNEL = '#include <ATen/ATen.h>\nvoid {name}(at::Tensor out) {{ TORCH_CHECK(out.is_cpu(), "on the CPU"); }}\n'
_SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="seeds",
    packages=["seeds"],
    ext_modules=[
        CppExtension("seeds._sow", [{sow}]),
        CppExtension("seeds._reap", [{reap}]),
    ],
    cmdclass={{"build_ext": BuildExtension}},
)
"""


def test_each_library_gives_to_its_own_counterpart(tmp_path: Path, run_cli: Run) -> None:
    files = {f"csrc/{name}/bind.cpp": _BIND.format(name=name) for name in ("sow", "reap")}
    files |= {f"csrc/{name}/{name}.cpp": _KERNEL.format(name=name) for name in ("sow", "reap")}
    files["seeds/__init__.py"] = "from . import _reap, _sow\n"
    sources = {name: f'"csrc/{name}/bind.cpp", "csrc/{name}/{name}.cpp"' for name in ("sow", "reap")}
    files["setup.py"] = _SETUP.format(**sources)
    tree = make_repository(tmp_path / "seeds", files)

    ran = run_cli("migrate", "csrc/sow/sow.cpp", "csrc/reap/reap.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    setup = (tree / "setup.py").read_text()
    for name in ("sow", "reap"):
        assert setup.count(f'"seeds._{name}_stable_libtorch"') == 1, setup
        assert setup.count(f'"csrc/libtorch_stable/{name}/{name}.cpp"') == 1, setup
        bindings = [path for path in tree.glob("csrc/libtorch_stable/**/*.cpp") if f'"{name}(' in path.read_text()]
        assert len(bindings) == 1
        assert f"PyInit__{name}_stable_libtorch" in bindings[0].read_text()
        assert f"_{name}_stable_libtorch" in (tree / "seeds/__init__.py").read_text()


_SHARED = {
    "csrc/sow.cpp": """\
#include <torch/extension.h>
at::Tensor mill(at::Tensor x);
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("mill", &mill); }
""",
    "csrc/reap.cpp": """\
#include <torch/extension.h>
at::Tensor mill(at::Tensor x);
at::Tensor mill_twice(at::Tensor x) { return mill(mill(x)); }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("mill_twice", &mill_twice); }
""",
    "csrc/mill.cpp": """\
#include <torch/extension.h>
at::Tensor mill(at::Tensor x) { TORCH_CHECK(x.is_cpu(), "on the CPU"); return torch::empty_like(x); }
""",
    "seeds/__init__.py": "from . import _reap, _sow\n\nmill = _sow.mill\nmill_twice = _reap.mill_twice\n",
    "setup.py": _SETUP.format(sow='"csrc/sow.cpp", "csrc/mill.cpp"', reap='"csrc/reap.cpp", "csrc/mill.cpp"'),
}


def test_a_source_of_two_libraries_goes_to_both_counterparts_with_what_calls_it(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "seeds", _SHARED)

    ran = run_cli("migrate", "csrc/mill.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    assert "csrc/reap.cpp comes along: it calls mill" in ran.out
    setup = (tree / "setup.py").read_text()
    assert setup.count('"csrc/libtorch_stable/mill.cpp"') == 2, setup
    assert "csrc/mill.cpp" not in setup
    assert "csrc/reap.cpp" not in setup
    assert 'm.def("mill_twice(' in (tree / "csrc/libtorch_stable/reap.cpp").read_text()
    assert not (tree / "csrc/sow.cpp").exists(), "it held registrations alone"
    assert "nothing is left of seeds._sow" in ran.out


_TABLE = {
    "csrc/table.h": "#pragma once\ntemplate <typename T> T first(const T* data);\nint limit();\n",
    "csrc/first.cpp": '#include "table.h"\ntemplate <> float first<float>(const float* data) { return *data; }\n',
    "csrc/limit.cpp": '#include "table.h"\nint limit() { return 8; }\n',
    "csrc/sow.cpp": """\
#include <ATen/ATen.h>
#include "table.h"
double sow(const at::Tensor& x) {
  TORCH_CHECK(x.numel() < limit(), "too long");
  return first<float>(x.data_ptr<float>());
}
""",
    "csrc/reap.cpp": """\
#include <ATen/ATen.h>
#include "table.h"
int64_t reap(const at::Tensor& x) { return x.size(0) + limit(); }
""",
    "csrc/bind.cpp": """\
#include <Python.h>
#include <torch/library.h>
#include <ATen/ATen.h>
double sow(const at::Tensor& x);
int64_t reap(const at::Tensor& x);
TORCH_LIBRARY(seeds, m) {
  m.def("sow(Tensor x) -> float");
  m.def("reap(Tensor x) -> int");
}
TORCH_LIBRARY_IMPL(seeds, CPU, m) {
  m.impl("sow", &sow);
  m.impl("reap", &reap);
}
PyMODINIT_FUNC PyInit__sow(void) {
  static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sow", nullptr, 0, nullptr};
  return PyModule_Create(&module);
}
""",
    "seeds/__init__.py": "from . import _sow\n",
    "setup.py": """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

names = ["bind", "sow", "reap", "first", "limit"]
setup(
    name="seeds",
    packages=["seeds"],
    ext_modules=[
        CppExtension(
            "seeds._sow",
            ["csrc/bind.cpp", "csrc/sow.cpp", "csrc/reap.cpp", "csrc/first.cpp", "csrc/limit.cpp"],
        )
    ],
    cmdclass={"build_ext": BuildExtension},
)
""",
}


def test_what_defines_a_specialisation_comes_along_and_what_both_need_is_built_into_both(
    tmp_path: Path, run_cli: Run
) -> None:
    tree = make_repository(tmp_path / "seeds", _TABLE)

    ran = run_cli("migrate", "csrc/sow.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    setup = (tree / "setup.py").read_text()
    assert "csrc/first.cpp comes along: csrc/sow.cpp uses first<float>" in ran.out, ran
    assert "csrc/limit.cpp is built into both libraries" in ran.out, ran
    assert setup.count('"csrc/limit.cpp"') == 2, setup
    assert setup.count('"csrc/libtorch_stable/first.cpp"') == 1, setup
    assert '"csrc/first.cpp"' not in setup


_TOOLS = {
    "csrc/api.cpp": """\
#include <torch/extension.h>
int64_t rows(at::Tensor x) { return x.size(0); }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("rows", &rows); }
""",
    "csrc/plain.cpp": "int unused() { return 3; }\n",
    "seeds/__init__.py": "from . import _sow\n",
    "setup.py": _SETUP.format(sow='"csrc/api.cpp", "csrc/plain.cpp"', reap='"csrc/other.cpp"'),
    "csrc/other.cpp": """\
#include <torch/extension.h>
int64_t columns(at::Tensor x) { return x.size(1); }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("columns", &columns); }
""",
}


def test_sources_without_torch_do_not_keep_a_library_that_lost_its_module(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "seeds", _TOOLS)

    ran = run_cli("migrate", "csrc/api.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    setup = (tree / "setup.py").read_text()
    assert '"seeds._sow"' not in setup, setup
    assert "csrc/libtorch_stable/plain.cpp" in setup
    assert '"seeds._reap"' in setup


_STABLE_BESIDE = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.26)
project(mills LANGUAGES CXX)
set(DONE_SRC "csrc/done_bindings.cpp" "csrc/done.cpp")
Python_add_library(_done_C MODULE USE_SABI 3 ${DONE_SRC})
target_compile_definitions(_done_C PRIVATE TORCH_TARGET_VERSION=0x020B000000000000ULL)
set(OPEN_SRC "csrc/open/bindings.cpp" "csrc/open/grind.cpp")
Python_add_library(_open_C MODULE USE_SABI 3 ${OPEN_SRC})
""",
    "csrc/done_bindings.cpp": """\
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
void sift(torch::stable::Tensor& out);
STABLE_TORCH_LIBRARY(_done_C, m) { m.def("sift(Tensor! out) -> ()"); }
STABLE_TORCH_LIBRARY_IMPL(_done_C, CPU, m) { m.impl("sift", TORCH_BOX(&sift)); }
""",
    "csrc/done.cpp": """\
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Half.h>
using half = c10::Half;
void sift(torch::stable::Tensor& out) {}
""",
    "csrc/open/bindings.cpp": """\
#include <torch/library.h>
#include <torch/all.h>
void grind(torch::Tensor& out);
TORCH_LIBRARY(_open_C, m) {
  m.def("grind(Tensor! out) -> ()");
  m.impl("grind", torch::kCPU, &grind);
}
""",
    "csrc/open/grind.cpp": """\
#include <torch/all.h>
void grind(torch::Tensor& out) { TORCH_CHECK(out.dim() == 1, "one dimension"); }
""",
    "mills/__init__.py": "from . import _done_C, _open_C\n",
}


def test_scan_suggests_no_sources_of_stable_libraries_and_nothing_that_is_left_empty(
    tmp_path: Path, run_cli: Run
) -> None:
    tree = make_repository(tmp_path / "mills", _STABLE_BESIDE)
    first = json.loads(run_cli("scan", "--json", cwd=tree).out)["groups"]
    assert [group["name"] for group in first] == ["grind"]

    ran = run_cli("migrate", "grind", "--write", cwd=tree)

    assert ran.code == 0, ran
    assert json.loads(run_cli("scan", "--json", cwd=tree).out)["groups"] == []
