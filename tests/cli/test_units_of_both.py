"""A unit that a stable and a legacy library both need is compiled by each as its own code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

_BIND = """\
#include <torch/library.h>
#include <torch/all.h>
#include <Python.h>
{declared}
TORCH_LIBRARY(oven_{name}, m) {{ {defined} }}
TORCH_LIBRARY_IMPL(oven_{name}, CPU, m) {{ {implemented} }}
extern "C" PyMODINIT_FUNC PyInit__{name}() {{
  static PyModuleDef module = {{PyModuleDef_HEAD_INIT, "_{name}", nullptr, 0, nullptr}};
  return PyModule_Create(&module);
}}
"""


def _bind(name: str, *functions: str) -> str:
    return _BIND.format(
        name=name,
        declared="\n".join(f"at::Tensor {one}(const at::Tensor& x);" for one in functions),
        defined=" ".join(f'm.def("{one}(Tensor x) -> Tensor");' for one in functions),
        implemented=" ".join(f'm.impl("{one}", &{one});' for one in functions),
    )


def _setup(*libraries: tuple[str, str]) -> str:
    made = [(name, ", ".join(f'"csrc/{one}.cpp"' for one in files.split())) for name, files in libraries]
    calls = "".join(f'    CppExtension("oven.{name}", [{sources}]),\n' for name, sources in made)
    return (
        "from setuptools import setup\nfrom torch.utils.cpp_extension import BuildExtension, CppExtension\n\n"
        f'setup(name="oven", packages=["oven"], ext_modules=[\n{calls}], cmdclass={{"build_ext": BuildExtension}})\n'
    )


_FILES = {
    "csrc/heat.h": "#pragma once\n#include <torch/all.h>\nat::Tensor heated(const at::Tensor& x);\n",
    "csrc/heat.cpp": '#include "heat.h"\nat::Tensor heated(const at::Tensor& x) {\n'
    '  TORCH_CHECK(x.dim() > 0, "no scalar");\n  return at::empty_like(x);\n}\n',
    "csrc/bake.cpp": '#include "heat.h"\nat::Tensor bake(const at::Tensor& x) { return heated(x); }\n',
    "csrc/roast.cpp": '#include "heat.h"\nat::Tensor roast(const at::Tensor& x) { return heated(x); }\n',
    "oven/__init__.py": "from . import _oven\n",
}


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("is_one", [False, True])
def test_what_both_sides_need_is_compiled_by_both(tmp_path: Path, run_cli: Run, in_place: bool, is_one: bool) -> None:
    if is_one:
        files = {"csrc/bind.cpp": _bind("oven", "bake", "roast"), "setup.py": _setup(("_oven", "bind bake roast heat"))}
    else:
        files = {"csrc/bind.cpp": _bind("oven", "bake"), "csrc/grill.cpp": _bind("grill", "roast")}
        files["setup.py"] = _setup(("_oven", "bind bake heat"), ("_grill", "grill roast heat"))
        files["oven/__init__.py"] = "from . import _grill, _oven\n"
    tree = make_repository(tmp_path / "oven", _FILES | files)

    ran = run_cli("migrate", "csrc/bake.cpp", "--commit", *(["--in-place"] if in_place else []), cwd=tree)

    assert ran.code == 0, ran
    heat = (tree / "csrc/heat.cpp").read_text()
    stable, _, legacy = heat.partition("#else")
    assert "torch::stable::Tensor heated(const torch::stable::Tensor& x)" in stable
    assert "at::Tensor heated(const at::Tensor& x)" in legacy
    setup = (tree / "setup.py").read_text()
    assert '"csrc/heat.cpp"' in setup.partition("_stable_libtorch")[2]
    assert setup.count("heat") == (2 if is_one else 3)
    again = run_cli("migrate", "csrc/bake.cpp", "--write", cwd=tree)
    assert again.code == 0, again
    assert (tree / "csrc/heat.cpp").read_text() == heat


def _two_modules(tmp_path: Path) -> Path:
    files = {"csrc/bind.cpp": _bind("oven", "bake"), "csrc/grill.cpp": _bind("grill", "roast")}
    files["setup.py"] = _setup(("_oven", "bind bake heat"), ("_grill", "grill roast heat"))
    files["oven/__init__.py"] = "from . import _grill, _oven\n"
    return make_repository(tmp_path / "oven", _FILES | files)


def test_what_others_need_is_compiled_by_both_where_it_is_asked_for(tmp_path: Path, run_cli: Run) -> None:
    tree = _two_modules(tmp_path)

    ran = run_cli("migrate", "csrc/heat.cpp", "csrc/bake.cpp", "--write", cwd=tree)

    assert ran.code == 0, ran
    assert "csrc/heat.cpp is built into both libraries" in ran.out
    stable, _, legacy = (tree / "csrc/heat.cpp").read_text().partition("#else")
    assert "torch::stable::Tensor heated(const torch::stable::Tensor& x)" in stable
    assert "at::Tensor heated(const at::Tensor& x)" in legacy
    setup = (tree / "setup.py").read_text()
    assert setup.count('"csrc/heat.cpp"') == 3
    assert '"csrc/libtorch_stable/bake.cpp",' in setup
    assert "_grill_stable" not in setup


def test_what_others_need_stays_where_nothing_else_is_asked_for(tmp_path: Path, run_cli: Run) -> None:
    tree = _two_modules(tmp_path)

    ran = run_cli("migrate", "csrc/heat.cpp", cwd=tree)

    assert ran.code == 1, ran
    said = "csrc/heat.cpp:1:1 TSA550 csrc/heat.cpp stays: csrc/bake.cpp, csrc/roast.cpp need what it defines, and stay"
    assert said in ran.err
    assert "diff --git" not in ran.out
    assert run_cli("migrate", "csrc/heat.cpp", "csrc/bake.cpp", "csrc/roast.cpp", cwd=tree).code == 0


def test_what_an_operator_is_bound_to_moves_though_others_call_it(tmp_path: Path, run_cli: Run) -> None:
    bind = _bind("oven", "bake", "heated")
    files = {"csrc/bind.cpp": bind, "setup.py": _setup(("_oven", "bind bake roast heat"))}
    tree = make_repository(tmp_path / "oven", _FILES | files)

    ran = run_cli("migrate", "csrc/heat.cpp", cwd=tree)

    assert "TSA550" not in ran.out
    assert "rename to csrc/libtorch_stable/heat.cpp" in ran.out
