"""setup.py as people write it: after a migration it is run, with stand-ins, on a machine with CUDA and on one without."""

from __future__ import annotations

import glob
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.repository.program.planning import Migrated, migrated

_OPS = """
    #pragma once
    #include <torch/all.h>
    at::Tensor steep(at::Tensor x);
    at::Tensor pour(at::Tensor x);
    at::Tensor chill(at::Tensor x);
"""
_BIND = """
    #include <Python.h>
    #include <torch/library.h>
    #include "ops.h"

    TORCH_LIBRARY(tea, m) {
      m.def("steep(Tensor x) -> Tensor");
      m.impl("steep", torch::kCPU, &steep);
      m.def("pour(Tensor x) -> Tensor");
      m.impl("pour", torch::kCPU, &pour);
      m.def("chill(Tensor x) -> Tensor");
      m.impl("chill", torch::kCUDA, &chill);
    }

    PyMODINIT_FUNC PyInit__C(void) {
      static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", nullptr, 0, nullptr};
      return PyModule_Create(&module);
    }
"""


def _unit(name: str, ops: str = "ops.h") -> str:
    return f'#include "{ops}"\nat::Tensor {name}(at::Tensor x) {{ return torch::empty_like(x); }}\n'


_TREE = {
    "csrc/ops.h": _OPS,
    "csrc/bind.cpp": _BIND,
    "csrc/steep.cpp": _unit("steep"),
    "csrc/pour.cpp": _unit("pour"),
    "csrc/cuda/chill.cu": _unit("chill", "../ops.h"),
    "tea/__init__.py": "from . import _C\n",
}
_HEAD = """\
import glob
import os
import torch
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

"""
_CPP = '"csrc/bind.cpp", "csrc/steep.cpp", "csrc/pour.cpp"'
_CALL = 'setup(name="tea", ext_modules={}, cmdclass={{"build_ext": BuildExtension}})\n'
FORMS = {
    "a class by a test": f"""\
extension = CUDAExtension if torch.cuda.is_available() else CppExtension
sources = [{_CPP}]
if torch.cuda.is_available():
    sources += ["csrc/cuda/chill.cu"]
{_CALL.format('[extension("tea._C", sources)]')}""",
    "two calls": f"""\
sources = [{_CPP}]
if torch.cuda.is_available():
    ext = CUDAExtension("tea._C", sources + ["csrc/cuda/chill.cu"])
else:
    ext = CppExtension("tea._C", sources)
{_CALL.format("[ext]")}""",
    "a list that is overwritten": f"""\
ext_modules = [CppExtension("tea._C", [{_CPP}])]
if torch.cuda.is_available():
    ext_modules = [CUDAExtension("tea._C", [{_CPP}, "csrc/cuda/chill.cu"])]
{_CALL.format("ext_modules")}""",
    "two names at once": f"""\
Ext, srcs = CppExtension, [{_CPP}]
if torch.cuda.is_available():
    Ext, srcs = CUDAExtension, [{_CPP}, "csrc/cuda/chill.cu"]
{_CALL.format('[Ext("tea._C", srcs)]')}""",
    "globs": f"""\
here = os.path.dirname(os.path.abspath(__file__))
main = glob.glob(os.path.join(here, "csrc", "*.cpp"))
cuda = glob.glob(os.path.join(here, "csrc", "cuda", "*.cu"))
sources, extension = main, CppExtension
if torch.cuda.is_available():
    sources = sources + cuda
    extension = CUDAExtension
{_CALL.format('[extension("tea._C", sources)]')}""",
    "appended": f"""\
ext_modules = []
if torch.cuda.is_available():
    ext_modules.append(CUDAExtension("tea._C", [{_CPP}, "csrc/cuda/chill.cu"]))
else:
    ext_modules.append(CppExtension("tea._C", [{_CPP}]))
{_CALL.format("ext_modules")}""",
}  # fmt: skip


def _built(done: Migrated, folder: Path, *, has_cuda: bool, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The sources of each extension, by name, as setup() is given them."""
    for path in done.snapshot.files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(done.snapshot.read(path))
    found: dict[str, list[str]] = {}

    def setup(**given: Any) -> None:
        for one in given["ext_modules"]:
            assert one.name not in found, f"{one.name} is built twice"
            found[one.name] = sorted(os.path.relpath(source, folder) for source in one.sources)

    def extension(name: str, sources: list[str], **given: Any) -> SimpleNamespace:
        return SimpleNamespace(name=name, sources=[os.path.join(folder, source) for source in sources], **given)

    stand_ins: dict[str, dict[str, Any]] = {
        "setuptools": {"setup": setup},
        "torch": {"cuda": SimpleNamespace(is_available=lambda: has_cuda)},
        "torch.utils": {},
        "torch.utils.cpp_extension": {
            "BuildExtension": None, "CppExtension": extension, "CUDAExtension": lambda *a, **k: extension(*a, **k),
        },
    }  # fmt: skip
    for name, members in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(folder)
    text = done.text("setup.py")
    exec(
        compile(text, "setup.py", "exec"), {"__name__": "__main__", "__file__": str(folder / "setup.py"), "glob": glob}
    )
    return found


@pytest.mark.parametrize("has_cuda", [True, False], ids=["cuda", "cpu"])
@pytest.mark.parametrize("form", FORMS)
def test_one_source_moves(form: str, has_cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = migrated({**_TREE, "setup.py": _HEAD + FORMS[form]}, ["pour"])
    assert done.by_hand == []
    cuda = ["csrc/cuda/chill.cu"] if has_cuda else []
    assert _built(done, tmp_path, has_cuda=has_cuda, monkeypatch=monkeypatch) == {
        "tea._C": sorted(["csrc/bind.cpp", "csrc/steep.cpp", *cuda]),
        "tea._C_stable_libtorch": ["csrc/libtorch_stable/pour.cpp", "csrc/libtorch_stable/torch_bindings.cpp"],
    }


@pytest.mark.parametrize("has_cuda", [True, False], ids=["cuda", "cpu"])
@pytest.mark.parametrize("form", FORMS)
def test_all_sources_move(form: str, has_cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = migrated(
        {**_TREE, "setup.py": _HEAD + FORMS[form]}, ["csrc/pour.cpp", "csrc/steep.cpp", "csrc/cuda/chill.cu"]
    )
    assert done.by_hand == []
    cuda = ["csrc/libtorch_stable/cuda/chill.cu"] if has_cuda else []
    names = ("pour", "steep", "torch_bindings")
    assert _built(done, tmp_path, has_cuda=has_cuda, monkeypatch=monkeypatch) == {
        "tea._C_stable_libtorch": sorted([*(f"csrc/libtorch_stable/{name}.cpp" for name in names), *cuda])
    }


def test_macros_that_torch_sets_or_that_are_there_are_not_written_again() -> None:
    setup = _HEAD + (
        f'setup(name="tea", install_requires=["torch>=2.4"], ext_modules=[CUDAExtension("tea._C", [{_CPP}, '
        '"csrc/cuda/chill.cu"], py_limited_api=True, '
        'define_macros=[("Py_LIMITED_API", "0x03090000"), ("USE_CUDA", None), ("FAST", "1")], '
        'extra_compile_args={"cxx": ["-DPy_LIMITED_API=0x03090000", "-O3"]})], '
        'cmdclass={"build_ext": BuildExtension}, options={"bdist_wheel": {"py_limited_api": "cp39"}})\n'
    )
    done = migrated({**_TREE, "setup.py": setup}, ["pour"])
    assert done.by_hand == []
    stable = done.text("setup.py").partition('"tea._C_stable_libtorch"')[2]
    assert "Py_LIMITED_API" not in stable
    assert stable.count("USE_CUDA") == 1
    assert '("FAST", "1")' in stable
    assert '{"cxx": ["-O3"]}' in stable
    assert "torch>=2.11" in done.text("setup.py")
    assert done.text("setup.py").count("bdist_wheel") == 1
