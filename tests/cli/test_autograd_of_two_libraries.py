"""A source with an autograd function that two extensions build: it is taken apart once, then planned for each of them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Run, make_repository

SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="tally",
    packages=["tally"],
    ext_modules=[
        CppExtension("tally._one", ["csrc/mean.cpp", "csrc/one.cpp"]),
        CppExtension("tally._two", ["csrc/mean.cpp", "csrc/two.cpp"]),
    ],
    cmdclass={"build_ext": BuildExtension},
)
"""
MEAN = """\
#include <torch/script.h>

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

class Mean : public torch::autograd::Function<Mean> {
 public:
  static variable_list forward(AutogradContext* ctx, Variable x, std::optional<Variable> counts, Variable index) {
    auto count = counts.has_value() ? counts.value() : index;
    auto countable = index.dim() > 1 ? index : count;
    auto out = at::empty_like(x);
    float* to = out.data_ptr<float>();
    for (int64_t i = 0; i < x.numel(); i++) to[i] = x.data_ptr<float>()[i] / 2;
    ctx->save_for_backward({count, countable, index});
    return {out};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    return {grads[0] / saved[0], Variable(), Variable()};
  }
};

at::Tensor mean(at::Tensor x, std::optional<at::Tensor> counts, at::Tensor index) {
  auto result = Mean::apply(x, counts, index);
  return result[0];
}
static auto registry = torch::RegisterOperators().op("tally::mean", &mean);
"""
LOADED = """\
#include <Python.h>
PyMODINIT_FUNC PyInit__NAME(void) { return NULL; }
"""


def test_it_is_planned_for_both(tmp_path: Path, run_cli: Run) -> None:
    loaded = {f"csrc/{name}.cpp": LOADED.replace("NAME", name) for name in ("one", "two")}
    files = {"setup.py": SETUP, "csrc/mean.cpp": MEAN, **loaded}
    tree = make_repository(tmp_path, {**files, "tally/__init__.py": "from . import _one, _two\n"})
    ran = run_cli("migrate", "csrc/mean.cpp", "--write", "--json", cwd=tree)
    assert ran.code in (0, 1), ran.err
    text = (tree / "csrc/libtorch_stable/mean.cpp").read_text()
    assert "torch::autograd" not in text
    assert "(count, given), " in text  # `count` is no part of `countable`
    assert "(countable, given))" in text
    lines = MEAN.split("\n")
    for found in json.loads(ran.out)["findings"]:
        place = found["place"]
        assert place["path"] != "csrc/mean.cpp" or place["line"] <= len(lines)
