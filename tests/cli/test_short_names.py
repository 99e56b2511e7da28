"""Names that `using` made short in the legacy headers and bindings: what moves away from them spells them out."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from torch_stabilize.surface.headers import find_torch_include, target_macro
from torch_stabilize.verify.headers import stable_tree

from tests.conftest import Run, make_repository

OPS = """\
#pragma once
#include <torch/torch.h>
namespace lib {
using torch::Tensor;
Tensor scale(const Tensor& x, int times);
Tensor shift(const Tensor& x, double by = 1.0);
}
"""
# The group needs a function of this one, so the whole header serves both worlds.
SHARED = OPS.replace("Tensor shift", "inline double sign(int times) { return times < 0 ? -1 : 1; }\nTensor shift")
FILES: dict[str, str | bytes] = {
    "setup.py": "CppExtension('pkg._C', ['csrc/bindings.cpp', 'csrc/scale.cpp', 'csrc/other.cpp'])\n",
    "pkg/__init__.py": "from . import _C\n",
    "csrc/scale.cpp": """\
#include "ops.h"
namespace lib {
Tensor scale(const Tensor& x, int times) { return times > 0 ? x.clone() : x; }
Tensor shift(const Tensor& x, double by) { return scale(x, static_cast<int>(by)); }
}
""",
    "csrc/other.cpp": '#include "ops.h"\nnamespace lib { Tensor keep(const Tensor& x) { return x; } }\n',
    "csrc/bindings.cpp": """\
#include "ops.h"
#include <torch/library.h>
using namespace lib;
TORCH_LIBRARY(lib, m) {
  m.def("scale(Tensor x, int times) -> Tensor", &scale);
  m.def("shift(Tensor x, float by) -> Tensor", [](const Tensor& x, double by) { return shift(x, by); });
}
""",
}


def errors(root: Path, unit: str, tree: Path) -> str:
    """What the compiler says of a unit that reaches the stable headers of torch alone."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    folders = ("-isystem", str(tree), "-isystem", sysconfig.get_paths()["include"], "-Icsrc", "-Icsrc/libtorch_stable")
    target = f"-DTORCH_TARGET_VERSION={target_macro('2.11')}"
    command = [compiler, "-std=c++17", "-fsyntax-only", "-w", *folders, target, unit]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("header", [OPS, SHARED], ids=["declarations move", "the header serves both worlds"])
def test_what_moves_compiles_without_the_using(header: str, run_cli: Run, tmp_path: Path) -> None:
    unit = str(FILES["csrc/scale.cpp"])
    needs = unit.replace("x.clone() : x;", "x.clone() : (sign(times) < 0 ? x : x.clone());")
    files = {**FILES, "csrc/ops.h": header, "csrc/scale.cpp": needs if header is SHARED else unit}
    root = make_repository(tmp_path / "repository", files)

    assert run_cli("migrate", "csrc/scale.cpp", "--write", cwd=root).code in (0, 1)

    bindings = (root / "csrc/libtorch_stable/torch_bindings.cpp").read_text()
    assert "return lib::shift(x, by);" in bindings
    assert ('#include "../ops.h"' in bindings) == (header is SHARED)
    include = find_torch_include()
    if include is None:
        pytest.skip("torch is not installed")
    for moved in ("torch_bindings.cpp", "scale.cpp"):
        assert "error" not in errors(root, f"csrc/libtorch_stable/{moved}", stable_tree(include, tmp_path / "stable"))
