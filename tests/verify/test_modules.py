"""Python modules are imported as their users do, and what became an operator is called as the function it was."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from torch_stabilize.verify.golden.cases import CaseFile, load_cases
from torch_stabilize.verify.golden.forms import GRADIENTS, REACHED, UNDER_COMPILER
from torch_stabilize.verify.golden.modules import ModuleFunction, has_module, module_name
from torch_stabilize.verify.golden.outcome import Crash, LoadError, Outcome, TensorOutcome
from torch_stabilize.verify.golden.process import Worker

# A module without pybind11: what matters is that it is imported, and that its functions take and give Python objects.
MODULE = """\
#include <Python.h>
static PyObject* twice(PyObject*, PyObject* args) {
  PyObject* x;
  if (!PyArg_ParseTuple(args, "O", &x)) return nullptr;
  return PyNumber_Add(x, x);
}
static PyObject* fill(PyObject*, PyObject* args) {
  PyObject* x;
  if (!PyArg_ParseTuple(args, "O", &x)) return nullptr;
  PyObject* done = PyObject_CallMethod(x, "fill_", "i", 7);
  Py_XDECREF(done);
  if (done == nullptr) return nullptr;
  Py_RETURN_NONE;
}
static PyMethodDef methods[] = {
  {"twice", twice, METH_VARARGS, "twice(x: torch.Tensor) -> torch.Tensor\\n\\nTwice as much."},
  {"fill", fill, METH_VARARGS, "fill(arg0: torch.Tensor) -> None\\n"},
  {nullptr, nullptr, 0, nullptr}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_amp", nullptr, -1, methods};
PyMODINIT_FUNC PyInit__amp() { return PyModule_Create(&definition); }
"""
CASES = """
group = "amp"
library = "amp"
[[case]]
op = "twice"
args = [{ tensor = { shape = [2], fill = 1.5 } }]
[[case]]
op = "fill"
args = [{ tensor = { shape = [2] } }]
[[case]]
op = "absent"
args = []
"""
FUNCTIONS = {"amp::twice": "_amp.twice", "amp::fill": "_amp.fill", "amp::absent": "_amp.absent"}

needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("amp")
    (folder / "amp.cpp").write_text(MODULE)
    include = sysconfig.get_paths()["include"]
    command = ["c++", "-shared", "-fPIC", f"-I{include}", "amp.cpp", "-o", "_amp.abi3.so"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "_amp.abi3.so"


@pytest.fixture
def file(tmp_path: Path) -> CaseFile:
    (tmp_path / "cases.toml").write_text(CASES)
    return load_cases(tmp_path / "cases.toml")


@needs_compiler
def test_a_library_with_a_module_is_told_from_others(library: Path, tmp_path: Path) -> None:
    assert has_module(library)
    other = shutil.copy(library, tmp_path / "_other.so")
    assert not has_module(Path(other))  # a module of another name
    assert not has_module(tmp_path / "absent.so")
    assert module_name(Path("/a/_C.cpython-311-x86_64-linux-gnu.so")) == "_C"


@needs_compiler
@pytest.mark.torch
def test_functions_are_called_under_the_names_of_their_operators(library: Path, file: CaseFile) -> None:
    pytest.importorskip("torch")
    with Worker([library], functions=FUNCTIONS) as worker:
        twice, fill, absent = (worker.run(file.path, case) for case in file.cases)
        forms = worker.forms(file.path, file.cases[0])
        names = worker.names(file.path, file.cases[0])
        unnamed = worker.forms(file.path, file.cases[1])
        assert worker.operators() == ()
    assert isinstance(twice, Outcome)
    assert isinstance(twice.returns[0], TensorOutcome)
    assert twice.returns[0].data == b"\0\0@@" * 2
    assert isinstance(fill, Outcome)
    assert ([name for name, _ in fill.mutated], fill.undeclared, fill.bumped) == (["0"], (), None)
    assert isinstance(absent, Crash)
    assert "amp::absent.default is not registered" in absent.reason
    assert isinstance(forms, dict)
    assert list(forms) == ["by keyword", GRADIENTS, UNDER_COMPILER, REACHED]
    assert names == ("x",)
    assert isinstance(unnamed, dict)
    assert "by keyword" not in unnamed


@needs_compiler
@pytest.mark.torch
def test_a_module_that_cannot_be_imported_does_not_load(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    text = MODULE.replace(
        "return PyModule_Create(&definition)", 'PyErr_SetString(PyExc_ImportError, "not today"); return nullptr'
    )
    (tmp_path / "amp.cpp").write_text(text)
    include = sysconfig.get_paths()["include"]
    subprocess.run(["c++", "-shared", "-fPIC", f"-I{include}", "amp.cpp", "-o", "_amp.so"], cwd=tmp_path, check=True)
    with pytest.raises(LoadError, match="not today"), Worker([tmp_path / "_amp.so"]):
        pass


@pytest.mark.parametrize(
    ("doc", "names", "is_named"),
    [
        ("f(x: torch.Tensor, sizes: tuple[int, int], by: float = 2.0) -> None\n\nDoes it.", ("x", "sizes", "by"), True),
        ("f(arg0: torch.Tensor, arg1: int) -> int", ("arg0", "arg1"), False),
        ("f(*args, **kwargs)\nOverloaded function.\n\n1. f(x: int) -> int", (), False),
        ("f() -> int", (), False),
        (None, (), False),
    ],
)
def test_names_of_arguments_are_those_of_the_documentation(
    doc: str | None, names: tuple[str, ...], is_named: bool
) -> None:
    def function() -> None: ...

    function.__doc__ = doc
    found = ModuleFunction("ns::f", "_C.f", function)
    assert (found.arguments, found.is_named) == (names, is_named)
    assert json.dumps(found.called) == '"_C.f"'
