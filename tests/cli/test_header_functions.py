"""Functions that a header defines for the bindings, on top of units that migrate."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Run, make_repository

FILES = {
    "setup.py": """\
from setuptools import setup
from torch.utils.cpp_extension import CppExtension

setup(ext_modules=[CppExtension("near._C", ["csrc/ext.cpp", "csrc/near_cpu.cpp", "csrc/rest.cpp"])])
""",
    "near/__init__.py": "import torch\nfrom . import _C\n\n\ndef near(x, k=2):\n    return _C.near(x, k=k)\n",
    "csrc/checks.h": "#pragma once\n#include <torch/extension.h>\n#define CHECK(x) TORCH_CHECK(x.is_contiguous(), #x)\n",
    "csrc/near.h": """\
#pragma once
#include <torch/extension.h>

#include "checks.h"

// Who is near, on the CPU.
at::Tensor near_cpu(const at::Tensor& x, int64_t k);

inline at::Tensor near(const at::Tensor& x, int64_t k) {
  CHECK(x);
  return near_cpu(x, k);
}
""",
    "csrc/near_cpu.cpp": """\
#include <torch/extension.h>

at::Tensor near_cpu(const at::Tensor& x, int64_t k) { return x.narrow(0, 0, k).clone(); }
""",
    "csrc/rest.h": "#pragma once\n#include <torch/extension.h>\nat::Tensor rest(const at::Tensor& x);\n",
    "csrc/rest.cpp": '#include "rest.h"\nat::Tensor rest(const at::Tensor& x) { return x.clone(); }\n',
    "csrc/ext.cpp": """\
#include "near.h"
#include "rest.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("near", &near, py::arg("x"), py::arg("k") = 2);
  m.def("rest", &rest);
}
""",
}


def test_the_header_moves_and_the_stable_bindings_include_it(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "near", FILES)

    assert run_cli("migrate", "csrc/near_cpu.cpp", "--write", cwd=tree).code == 0

    stable = tree / "csrc/libtorch_stable"
    assert {p.name for p in stable.iterdir()} >= {"near.h", "checks.h", "near_cpu.cpp", "torch_bindings.cpp"}
    assert (
        "inline torch::stable::Tensor near(const torch::stable::Tensor& x, int64_t k) {"
        in (stable / "near.h").read_text()
    )
    assert "STD_TORCH_CHECK" in (stable / "checks.h").read_text()
    bindings = (stable / "torch_bindings.cpp").read_text()
    assert bindings.startswith('#include "near.h"\n')
    assert 'm.def("near(Tensor x, int k=2) -> Tensor");' in bindings
    assert not (stable / "ops.h").exists()
    assert (
        (tree / "csrc/ext.cpp").read_text()
        == """\
#include "rest.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("rest", &rest);
}
"""
    )
    assert "torch.ops.near.near(x, k=k)" in (tree / "near/__init__.py").read_text()


def test_a_header_that_others_need_stays_and_its_calls_are_named(tmp_path: Path, run_cli: Run) -> None:
    other = '#include "near.h"\nat::Tensor rest(const at::Tensor& x) { return near(x, 1); }\n'
    tree = make_repository(tmp_path / "near", {**FILES, "csrc/rest.cpp": other})

    ran = run_cli("migrate", "csrc/near_cpu.cpp", "--write", cwd=tree)

    assert ran.code == 1
    assert "csrc/near.h:1:1 TSA518 near_cpu: called here, and defined in units that move" in ran.out


def test_the_declarations_may_stand_in_a_header_of_the_unit(tmp_path: Path, run_cli: Run) -> None:
    """What only includes of the header brought to the registrations that stay is included there from now on."""
    near = FILES["csrc/near.h"]
    declaration = "at::Tensor near_cpu(const at::Tensor& x, int64_t k);\n"
    files = {
        **{path: text for path, text in FILES.items() if "rest" not in path},
        "csrc/near.h": near.replace("// Who is near, on the CPU.\n" + declaration, '#include "near_cpu.h"\n'),
        "csrc/near_cpu.h": f"#pragma once\n#include <torch/extension.h>\n{declaration}",
        "csrc/ext.cpp": '#include "near.h"\n\n'
        "at::Tensor same(const at::Tensor& x) { return x; }\n\n"
        'PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {\n  m.def("near", &near);\n  m.def("same", &same);\n}\n',
    }
    tree = make_repository(tmp_path / "near", files)

    assert run_cli("migrate", "csrc/near_cpu.cpp", "--write", cwd=tree).code == 0

    stable = tree / "csrc/libtorch_stable"
    assert {p.name for p in stable.iterdir()} >= {"near.h", "near_cpu.h", "checks.h", "near_cpu.cpp"}
    assert (
        (tree / "csrc/ext.cpp").read_text()
        == """\
#include <torch/extension.h>

at::Tensor same(const at::Tensor& x) { return x; }

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("same", &same);
}
"""
    )
