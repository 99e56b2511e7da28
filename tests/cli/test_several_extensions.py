"""A repository with an extension in each of several folders: the files that are named say which one is meant."""

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
SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="{name}",
    ext_modules=[CppExtension("_{name}", ["src/ops.cpp", "src/rest.cpp"])],
    cmdclass={{"build_ext": BuildExtension}},
)
"""
NAMES = ("left", "right")
FILES = {
    **{f"{name}/setup.py": SETUP.format(name=name) for name in NAMES},
    **{f"{name}/src/ops.cpp": UNIT.format(name=name) for name in NAMES},
    **{f"{name}/src/rest.cpp": "#include <torch/extension.h>\nint rest(const at::Tensor& x);\n" for name in NAMES},
    **{f"{name}/__init__.py": f"import _{name}\n" for name in NAMES},
}


def test_the_extension_of_the_named_files_migrates(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "repository", FILES)
    run_cli("migrate", "right/src/ops.cpp", "--write", cwd=tree)
    unit = (tree / "right/src/libtorch_stable/ops.cpp").read_text()
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(right, m)" in unit
    assert "PyInit__right_stable_libtorch" in unit
    commit_all(tree, "Migrate")
    assert run_cli("migrate", "right/src/ops.cpp", cwd=tree).out == ""
