"""The operators of a group, read from the tree before its migration."""

from __future__ import annotations

from pathlib import Path

from torch_stabilize.program.groups import resolve_group
from torch_stabilize.verify.announced import Announced, announced
from torch_stabilize.verify.trees import folder_tree

SETUP = """
from setuptools import setup
from torch.utils.cpp_extension import CppExtension
setup(name="gain", ext_modules=[CppExtension("gain._C", {sources})])
"""
KERNEL = """
#include <torch/extension.h>
torch::Tensor amplify(torch::Tensor x) { return x * 2; }
torch::Tensor damp(torch::Tensor x) { return x / 2; }
"""
MODULE = """
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("amplify", &amplify);
#ifdef WITH_DAMP
  m.def("damp", &damp);
#endif
}
"""
LIBRARY = """
TORCH_LIBRARY(gain, m) { m.def("amplify(Tensor x) -> Tensor", &amplify); m.def("damp.half(Tensor x) -> Tensor"); }
TORCH_LIBRARY_IMPL(gain, CUDA, m) { m.impl("damp.half", &damp); }
"""


def read(root: Path, files: dict[str, str], unit: str) -> Announced:
    sources = [name for name in files if name.endswith((".cpp", ".cu"))]
    for name, text in {"setup.py": SETUP.format(sources=sources), **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    tree = folder_tree(root, "")
    return announced(tree, tree, resolve_group(tree.snapshot, tree.layout, tree.config, (unit,)), "2.11")


def test_functions_of_a_python_module_have_the_names_that_the_migration_gives_them(tmp_path: Path) -> None:
    found = read(
        tmp_path, {"gain/__init__.py": "from . import _C\n", "csrc/gain.cpp": KERNEL + MODULE}, "csrc/gain.cpp"
    )
    assert found.operators == ("gain::amplify", "gain::damp")
    assert found.functions == {"gain::amplify": "_C.amplify", "gain::damp": "_C.damp"}
    assert found.always == {"gain::amplify"}  # the other depends on the build
    assert not found.on_cuda


def test_operators_have_their_overloads_and_devices(tmp_path: Path) -> None:
    found = read(tmp_path, {"csrc/gain.cpp": KERNEL + LIBRARY}, "csrc/gain.cpp")
    assert found.operators == ("gain::amplify", "gain::damp.half")
    assert found.functions == {}
    assert found.on_cuda


def test_operators_of_earlier_groups_are_told_apart(tmp_path: Path) -> None:
    stable = 'STABLE_TORCH_LIBRARY_FRAGMENT(gain, m) { m.def("early(Tensor x) -> Tensor"); }\n'
    files = {"csrc/gain.cpp": KERNEL + LIBRARY, "csrc/libtorch_stable/early.cpp": stable}
    found = read(tmp_path, files, "csrc/gain.cpp")
    assert found.earlier == {"gain::early"}
    assert "gain::early" not in found.operators


AUTOGRAD = """
#include <torch/extension.h>
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

class Square : public torch::autograd::Function<Square> {
 public:
  static Variable forward(AutogradContext* ctx, Variable x) {
    ctx->save_for_backward({x});
    return x * x;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto x = saved[0];
    return {grads[0] * x * 2};
  }
};

torch::Tensor square(torch::Tensor x) { return Square::apply(x); }

TORCH_LIBRARY(gain, m) { m.def("square(Tensor x) -> Tensor", &square); }
"""


def test_the_backward_of_an_autograd_function_is_added(tmp_path: Path) -> None:
    files = {"gain/__init__.py": "from . import _C\n", "csrc/gain.cpp": AUTOGRAD}
    found = read(tmp_path, files, "csrc/gain.cpp")
    assert found.operators == ("gain::square",)
    assert found.added == {"gain::square_backward"}
