"""Plans that the check has nothing to say about, though they look like ones that break something."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from torch_stabilize.config import Config
from torch_stabilize.layout.read import Program
from torch_stabilize.model import FileChange, Plan
from torch_stabilize.program.check import check_plan
from torch_stabilize.program.planned import Planned
from torch_stabilize.program.registrations import Registrations
from torch_stabilize.repository.snapshot import open_snapshot

from tests.conftest import make_repository
from tests.repository.program import trees
from tests.repository.program.planning import migrated, tree_of

_SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="ovens",
    packages=["ovens"],
    ext_modules=[
        CppExtension(
            "ovens._C",
            ["csrc/bake.cpp", "vendor/flour/mill.cpp"],
            define_macros=[("TORCH_TARGET_VERSION", "0x020b000000000000ULL")],
        )
    ],
    cmdclass={"build_ext": BuildExtension},
)
"""
_BAKE = """\
#include <torch/csrc/stable/library.h>
#include "flour/grains.h"
#include "heat.h"
int64_t bake(int64_t n) { return n; }
STABLE_TORCH_LIBRARY(ovens, m) { m.def("bake(int n) -> int"); }
STABLE_TORCH_LIBRARY_IMPL(ovens, CompositeExplicitAutograd, m) { m.impl("bake", TORCH_BOX(&bake)); }
"""
_HEAT = '#pragma once\n#define HEAT_CHECK(x) TORCH_CHECK(x, "too hot")\nint heat();\n'
_BY_MACROS = """
#ifndef OVENS_NO_PYTHON
#include "python.h"
PYBIND11_MODULE(_C, m) { m.def("warm", &warm); }
#endif
"""
FILES = {
    "setup.py": _SETUP,
    "csrc/bake.cpp": _BAKE,
    "csrc/heat.h": _HEAT,
    "csrc/grains/grains.h": "#pragma once\n",
    "ovens/__init__.py": "from . import _C\n",
}


def _found(tmp_path: Path, changed: dict[str, str]) -> list[str]:
    snapshot = open_snapshot(make_repository(tmp_path / "ovens", FILES))
    files = tuple(FileChange(path, path, snapshot.read(path), text.encode()) for path, text in sorted(changed.items()))
    planned = Planned(Program(snapshot, Config()), Plan("bake", "2.11", files))
    return [f"{one.code} {one.message}" for one in check_plan(planned)]


def test_a_source_of_a_folder_that_is_not_checked_out(tmp_path: Path) -> None:
    changed = _SETUP.replace("vendor/flour/mill.cpp", "vendor/flour/stone_mill.cpp")
    assert _found(tmp_path, {"setup.py": changed}) == []


def test_a_source_that_is_not_there_in_a_folder_that_is(tmp_path: Path) -> None:
    changed = _SETUP.replace('"csrc/bake.cpp"', '"csrc/bake.cpp", "csrc/bakes.cpp"')
    (found,) = _found(tmp_path, {"setup.py": changed})
    assert "names csrc/bakes.cpp, which would not be there" in found


def test_an_include_that_was_found_nowhere_before(tmp_path: Path) -> None:
    assert _found(tmp_path, {"csrc/bake.cpp": _BAKE.replace("return n", "return n + 1")}) == []


def test_a_name_in_a_macro_that_nothing_uses(tmp_path: Path) -> None:
    assert _found(tmp_path, {"csrc/heat.h": _HEAT + "int cold();\n", "csrc/bake.cpp": _BAKE + "\n"}) == []


def test_a_name_in_a_macro_that_is_used(tmp_path: Path) -> None:
    used = _BAKE.replace("return n", "HEAT_CHECK(n < 9); return n")
    found = _found(tmp_path, {"csrc/bake.cpp": used})
    assert any(one.startswith("TSA710 TORCH_CHECK is left in csrc/heat.h") for one in found), found


_NO_PYTHON = _SETUP.replace("define_macros=[", 'define_macros=[("OVENS_NO_PYTHON", None), ')


def _with(files: dict[str, str], changed: dict[str, str]) -> list[str]:
    snapshot = tree_of({**FILES, **files})
    changes = tuple(
        FileChange(path, path, snapshot.read(path), text.encode()) if snapshot.exists(path) else
        FileChange(None, path, None, text.encode())
        for path, text in sorted(changed.items())
    )  # fmt: skip
    planned = Planned(Program(snapshot, Config()), Plan("bake", "2.11", changes))
    return [f"{one.code} {one.message}" for one in check_plan(planned)]


def test_code_that_a_macro_of_the_build_hides() -> None:
    bake = _BAKE.replace("int64_t bake", "int warm() { return 1; }\nint64_t bake", 1) + _BY_MACROS
    files = {"csrc/bake.cpp": bake, "csrc/python.h": "#include <ATen/ATen.h>\n", "setup.py": _NO_PYTHON}
    changed = {
        "csrc/bake.cpp": bake.replace('PYBIND11_MODULE(_C, m) { m.def("warm", &warm); }\n', "at::Tensor kept;\n")
    }
    assert _with(files, changed) == []
    assert len(_with({**files, "setup.py": _SETUP}, changed)) == 3


def test_a_macro_that_is_defined_anew_before_it_is_used() -> None:
    own = '#undef HEAT_CHECK\n#define HEAT_CHECK(x) STD_TORCH_CHECK(x, "hot")\n'
    files = {"csrc/own.h": f'#pragma once\n#include "heat.h"\n{own}'}
    used = _BAKE.replace('#include "heat.h"', '#include "own.h"').replace("return n", "HEAT_CHECK(n < 9); return n")
    assert _with(files, {"csrc/bake.cpp": used}) == []


def test_tensors_of_another_library() -> None:
    used = _BAKE.replace("int64_t bake", "using namespace bread;\nc10::ScalarType kind();\nint rows(int* p) {\n  Tensor loaf = make_loaf(p);\n"
                         "  return loaf.data().get()[0] + loaf.options().rows;\n}\nint64_t bake", 1)  # fmt: skip
    assert _with({}, {"csrc/bake.cpp": used}) == []
    torchs = used.replace("using namespace bread", "using namespace torch")
    assert any("data and 1 more is left" in one for one in _with({}, {"csrc/bake.cpp": torchs}))


def test_a_method_that_both_tensors_have() -> None:
    used = _BAKE.replace("int64_t bake", "using torch::stable::Tensor;\n"
                         "int place(const Tensor& x) { return x.get_device(); }\nint64_t bake", 1)  # fmt: skip
    assert _with({}, {"csrc/bake.cpp": used}) == []


@pytest.mark.parametrize("loads", [True, False])
def test_a_library_whose_file_another_module_finds(loads: bool) -> None:
    """`__init__.py` imports the legacy library, and a module that it imports finds and loads the stable one."""
    files = dict(trees.WITH_SETUP)
    files["img/__init__.py"] = "from . import _C\nfrom . import _loading\n"
    files["img/_loading.py"] = "import torch\n"
    plan = migrated(files, ["csrc/blur.cpp", "csrc/shared.cpp"]).plans[0]
    found_by = (
        "import importlib.util\nimport torch\n"
        f'for name in ("_{"C_stable_libtorch" if loads else "D"}",):\n'
        '    spec = importlib.util.find_spec(f"img.{name}")\n'
        "    torch.ops.load_library(spec.origin)\n"
    )
    kept = tuple(file for file in plan.files if not (file.old_path or "").startswith("img/"))
    tree = tree_of(files)
    change = FileChange("img/_loading.py", "img/_loading.py", tree.read("img/_loading.py"), found_by.encode())
    broken = replace(plan, files=(*kept, change))
    told = [one.code for one in check_plan(Planned(Program(tree, Config()), broken)) if one.code == "TSA709"]
    assert bool(told) is not loads


def test_another_project_that_builds_the_same_sources() -> None:
    """Its bindings are its own: the macros of variants are not used, and what to do is told where it is built."""
    files = {path.replace("csrc/", "sub/csrc/", 1): text for path, text in trees.WITH_SETUP.items()}
    files = {path if path.startswith("sub/") else f"sub/{path}": text for path, text in files.items()}
    sources = " ".join(sorted(path for path in files if path.endswith(".cpp")))
    files["CMakeLists.txt"] = f"project(img)\nadd_library(_img_C MODULE {sources})\n"
    done = migrated(files, ["sub/csrc/blur.cpp", "sub/csrc/sharpen.cpp", "sub/csrc/shared.cpp"])
    assert "STABLE_LIBRARY" not in done.text("sub/csrc/libtorch_stable/torch_bindings.cpp")
    (told,) = [one for one in done.said if one.severity.value == "error"]
    assert (told.code, told.path) == ("TSA708", "CMakeLists.txt")
    assert "CMakeLists.txt builds the same sources into _img_C" in told.message


_OF_BOTH = """\
#include <torch/extension.h>
at::Tensor level(const at::Tensor& x);
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("level", &level); }
"""


def test_a_function_that_two_modules_are_built_of() -> None:
    files = {
        "setup.py": "from setuptools import setup\nfrom torch.utils.cpp_extension import BuildExtension, CppExtension\n"
        'setup(ext_modules=[CppExtension("mill._a", ["src/bind_a.cpp", "src/level.cpp"]),\n'
        '                   CppExtension("mill._b", ["src/bind_b.cpp", "src/level.cpp"])],\n'
        '      cmdclass={"build_ext": BuildExtension})\n',
        "src/bind_a.cpp": _OF_BOTH,
        "src/bind_b.cpp": _OF_BOTH,
        "src/level.cpp": "#include <torch/all.h>\nat::Tensor level(const at::Tensor& x) { return torch::empty_like(x); }\n",
        "mill/__init__.py": "from . import _a, _b\n\n\ndef both(x):\n    return _a.level(x), _b.level(x)\n",
    }
    done = migrated(files, ["src/level.cpp"])
    assert not done.by_hand
    calls = re.findall(r"torch\.ops\.(\w+)\.level", done.text("mill/__init__.py"))
    homes = {
        library.name: {one.namespace for one in Registrations(program).of(library)}
        for program in [Program(done.snapshot, Config())]
        for library in program.libraries
    }
    assert [{space} for space in calls] == [homes["_a_stable_libtorch"], homes["_b_stable_libtorch"]]
    assert len(set(calls)) == 2


def test_a_stable_library_of_another_name_and_folder() -> None:
    """It registers in the namespace of the legacy one: what migrates belongs there."""
    stable = """\
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <Python.h>
torch::stable::Tensor grow(const torch::stable::Tensor& x) { return x; }
STABLE_TORCH_LIBRARY_FRAGMENT(img, m) { m.def("grow(Tensor x) -> Tensor"); }
STABLE_TORCH_LIBRARY_IMPL(img, CPU, m) { m.impl("grow", TORCH_BOX(&grow)); }
extern "C" PyMODINIT_FUNC PyInit__S() {
  static struct PyModuleDef d = {PyModuleDef_HEAD_INIT, "_S", nullptr, 0, nullptr};
  return PyModule_Create(&d);
}
"""
    own = (
        '        CppExtension("img._S", ["csrc/fresh/grow.cpp"], '
        'define_macros=[("TORCH_TARGET_VERSION", "0x020b000000000000ULL")]),\n'
    )
    files = {**trees.WITH_SETUP, "csrc/fresh/grow.cpp": stable}
    files["setup.py"] = files["setup.py"].replace("    ext_modules=[\n", f"    ext_modules=[\n{own}")
    files["img/__init__.py"] = files["img/__init__.py"].replace("import _C ", "import _C, _S ")
    done = migrated(files, ["csrc/blur.cpp", "csrc/shared.cpp"])
    assert not done.by_hand
    done = migrated(files, [f"csrc/{name}.cpp" for name in ("blur", "sharpen", "rows", "shared")])
    assert not done.by_hand
    assert '"img._C"' not in done.text("setup.py")
    assert "bdist_wheel" not in done.text("setup.py"), "img._S is not built for the limited API"
