"""A package with every kind of function that Python may have bound: what it sees before and after, compiled or not.

One legacy and one stable build serve all checks: values, gradients, graph breaks and opcheck.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tests.conftest import Run, make_repository

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.xdist_group("python_side")]

SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="flow",
    packages=["flow"],
    ext_modules=[CppExtension("flow._C", ["csrc/flow.cpp"], extra_compile_args=["-O0", "-g0"])],
    cmdclass={"build_ext": BuildExtension},
)
"""
UNIT = """\
#include <torch/extension.h>

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor scale(const at::Tensor& x, double by) {
  auto y = at::empty_like(x);
  const float* in = x.data_ptr<float>();
  float* out = y.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) out[i] = in[i] * by;
  return y;
}

void scale_(at::Tensor x, double by) {
  float* p = x.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) p[i] *= by;
}

at::Tensor clip_(at::Tensor x, double top) {
  float* p = x.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) {
    if (p[i] > top) p[i] = top;
  }
  return x;
}

std::tuple<at::Tensor, at::Tensor> rows(const at::Tensor& x, int64_t extra) {
  const int64_t n = x.size(0);
  auto total = at::zeros({n + extra}, x.options());
  auto count = at::zeros({n}, x.options().dtype(at::kLong));
  auto in = x.accessor<float, 2>();
  auto t = total.accessor<float, 1>();
  auto c = count.accessor<int64_t, 1>();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < x.size(1); ++j) {
      t[i] += in[i][j];
      c[i] += in[i][j] != 0;
    }
  }
  return {total, count};
}

at::Tensor blend(const at::Tensor& x, const at::Tensor& w) {
  auto y = at::sigmoid(x) * w;
  y += x;
  return 1 - (1 - y);
}

static at::Tensor cubed(const at::Tensor& x, double by) {
  auto y = at::empty_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) {
    float v = x.data_ptr<float>()[i];
    y.data_ptr<float>()[i] = v * v * v * by;
  }
  return y;
}

class Cube : public torch::autograd::Function<Cube> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double by) {
    ctx->save_for_backward({x});
    ctx->saved_data["by"] = by;
    return cubed(x, by);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto x = ctx->get_saved_variables()[0];
    double by = ctx->saved_data["by"].toDouble();
    return {grads[0] * x * x * (3 * by), at::Tensor()};
  }
};

at::Tensor cube(const at::Tensor& x, double by) { return Cube::apply(x, by); }

int64_t lanes() { return 8; }

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("scale", &scale, "Scale a tensor.", py::arg("x"), py::arg("by") = 2.0);
  m.def("scale_", &scale_);
  m.def("clip_", &clip_, py::arg("x"), py::arg("top") = 0.75);
  m.def("rows", &rows, py::arg("x"), py::arg("extra") = 0);
  m.def("blend", &blend);
  m.def("cube", &cube);
  m.def("lanes", &lanes);
}
"""
PACKAGE = {
    "flow/__init__.py": """\
        import os

        import torch

        if os.environ.get("FLOW_PLAIN"):
            from flow import plain as backend
        else:
            from flow import _C as backend

        from flow._C import lanes, rows as sum_rows

        HAS_ROWS = hasattr(backend, "rows")


        def scale(x, by=2.0):
            return backend.scale(x, by=by)


        def apply(name, *args):
            return getattr(backend, name)(*args)
        """,
    "flow/plain.py": """\
        def scale(x, by=2.0):
            return x * by
        """,
}
USE = """
import json, os, subprocess, sys, warnings
import torch, flow
from flow import backend as _C  # as the package binds it

warnings.simplefilter("ignore")
torch.manual_seed(1)
x = torch.randn(4, 5)
seen = {"scale": flow.scale(x).tolist(), "has": flow.HAS_ROWS, "lanes": flow.lanes()}
seen["rows"] = [t.tolist() for t in flow.sum_rows(x, extra=1)]
seen["applied"] = flow.apply("scale", x, 3.0).tolist()
r = torch.ones(3, requires_grad=True)
seen["asks"] = [_C.scale(r).requires_grad, _C.blend(r, r).requires_grad, _C.cube(r, 2.0).requires_grad]
seen["cube"] = torch.autograd.grad(_C.cube(r, 2.0).sum(), r)[0].tolist()
t = torch.ones(3)
seen["by default"] = _C.clip_(torch.ones(2)).tolist()
seen["same"] = [_C.clip_(t, 0.5).data_ptr() == t.data_ptr(), _C.clip_(t, top=0.4) is t, t.tolist()]

def step(x):
    z = _C.clip_(_C.scale(x * 2, 3.0), 4.0)
    _C.scale_(z, 2.0)
    a, b = _C.rows(z, 1)
    return a[:-1] + b + _C.blend(x, x).sum()

def other(x):
    return _C.clip_(x.clone(), 0.1).sum() + _C.lanes()

for backend in ("eager", "aot_eager", "inductor"):
    torch._dynamo.reset()
    made = torch.compile(step, backend=backend, fullgraph=FULL)
    y = x.clone().requires_grad_()
    out = made(y)
    seen[backend] = [out.tolist(), torch.autograd.grad(out.sum(), y)[0].tolist()]
    torch._dynamo.reset()
    seen[backend].append(torch.compile(other, backend=backend)(x).item())
torch._dynamo.reset()
dynamic = torch.compile(step, backend="aot_eager", fullgraph=FULL, dynamic=True)
seen["dynamic"] = [dynamic(torch.ones(n, 4)).tolist() for n in (3, 5, 7)]
env = dict(os.environ, FLOW_PLAIN="1")
code = "import torch, flow; print(flow.scale(torch.ones(1)).item(), flow.HAS_ROWS)"
seen["plain"] = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout
print(json.dumps(seen))
"""
CHECKS = """
import torch, flow
ops, x = torch.ops.flow, torch.randn(4, 5)
calls = {"scale": (x, 2.0), "scale_": (x.clone(), 2.0), "rows": (x, 1), "blend": (x, x), "lanes": ()}
calls |= {"clip_": (x.clone(), 0.5), "clip_kernel": (x.clone(), 0.5)}
calls |= {"cube": (x.clone().requires_grad_(), 2.0), "cube_backward": (x, x, 2.0)}
for name, given in calls.items():
    found = torch.library.opcheck(getattr(ops, name).default, given)
    assert set(found.values()) == {"SUCCESS"}, (name, found)
"""


def leaves(value: object) -> Iterator[object]:
    """The values in nested lists and dictionaries."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        yield value
    for one in inner or ():
        yield from leaves(one)


def run(folder: Path, *command: str) -> str:
    """What Python prints in `folder`."""
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_python_sees_what_it_saw(tmp_path: Path, run_cli: Run) -> None:
    """The same values and gradients in eager mode and compiled, without graph breaks now, and opcheck passes."""
    files = {"setup.py": SETUP, "csrc/flow.cpp": UNIT, ".gitignore": "*.so\nbuild/\n*.egg-info/\n__pycache__/\n"}
    package = make_repository(tmp_path / "package", files | {path: dedent(text) for path, text in PACKAGE.items()})
    run(package, "setup.py", "-q", "build_ext", "--inplace")
    before = json.loads(run(package, "-c", USE.replace("FULL", "False")))
    for made in (*package.glob("flow/*.so"), package / "build"):
        made.unlink() if made.is_file() else shutil.rmtree(made)

    assert run_cli("migrate", "csrc/flow.cpp", "--write", cwd=package).code == 0

    run(package, "setup.py", "-q", "build_ext", "--inplace")
    after = json.loads(run(package, "-c", USE.replace("FULL", "True")))
    assert after.keys() == before.keys()
    for name, value in before.items():
        old, new = list(leaves(value)), list(leaves(after[name]))
        compiled = name in ("eager", "aot_eager", "inductor", "dynamic")  # of one graph now, which may add up otherwise
        assert new == (pytest.approx(old, rel=1e-4, abs=1e-5) if compiled else old), name
    run(package, "-c", CHECKS)
