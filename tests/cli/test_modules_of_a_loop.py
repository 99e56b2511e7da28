"""Python modules that setup.py builds in a loop: each keeps its name, and a second run leaves the tree alone."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Run, commit_all, make_repository

UNIT = """\
#include <torch/extension.h>

at::Tensor {name}(const at::Tensor& x) {{ return x.clone(); }}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {{
  m.def("{name}", &{name});
}}
"""
FILES = {
    "setup.py": 'for n in ("left", "right"):\n    modules.append(CppExtension(f"pkg._{n}", [f"csrc/{n}.cpp"]))\n',
    "csrc/left.cpp": UNIT.format(name="left"),
    "csrc/right.cpp": UNIT.format(name="right"),
    "pkg/__init__.py": "import torch\nfrom . import _left, _right\n\n\ndef both(x):\n    return _left.left(_right.right(x))\n",
}


def test_a_module_of_a_loop(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "pkg", FILES)

    ran = run_cli("migrate", "csrc/right.cpp", "--write", cwd=tree)

    assert ran.code == 1  # setup.py is left to somebody
    assert "TSA622" in ran.out
    unit = (tree / "csrc/libtorch_stable/right.cpp").read_text()
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(_right, m)" in unit
    assert "PyInit__right_stable_libtorch" in unit
    package = (tree / "pkg/__init__.py").read_text()
    assert "from . import _right_stable_libtorch" in package
    assert "_left.left(torch.ops._right.right(x))" in package
    commit_all(tree, "Migrate")
    assert run_cli("migrate", "csrc/right.cpp", cwd=tree).out == ""
