"""Build files that cannot be parsed: nothing is written, and the run says where."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

FILES = {
    "setup.py": 'from torch.utils.cpp_extension import CppExtension\nCppExtension("pkg._C", ["csrc/ops.cpp", "csrc/norm.cpp"])\n',
    "CMakeLists.txt": "project(pkg)\n",
    "csrc/ops.cpp": 'TORCH_LIBRARY(pkg, m) {\n  m.def("norm(Tensor x) -> Tensor", &norm);\n}\n',
    "csrc/norm.cpp": "#include <torch/all.h>\nat::Tensor norm(const at::Tensor& x) { return x.clone(); }\n",
}


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("CMakeLists.txt", "project(pkg\nset(A b)\n", "cannot parse CMakeLists.txt: CMake syntax error at line"),
        ("CMakeLists.txt", 'project(pkg)\nset(SRC "csrc/norm.cpp)\n', "cannot parse CMakeLists.txt"),
        ("setup.py", FILES["setup.py"] + "print 'done'\n", "cannot parse setup.py: Python syntax error at line 3"),
    ],
)
def test_the_tree_stays_as_it_is(path: str, text: str, words: str, tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "pkg", {**FILES, path: text})

    ran = run_cli("migrate", "csrc/norm.cpp", "--write", cwd=tree)

    assert ran.code == 3
    assert words in ran.err
    assert subprocess.run(["git", "status", "--short"], cwd=tree, capture_output=True, check=True).stdout == b""
