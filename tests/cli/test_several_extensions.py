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


def test_what_is_left_by_hand_in_one_project_is_looked_at_again_there(tmp_path: Path, run_cli: Run) -> None:
    """A site that stays makes the run look at its own result once more: in the extension that the unit belongs to."""
    setup = (
        "from setuptools import setup\nfrom torch.utils.cpp_extension import CppExtension\n"
        'setup(name="NAME", packages=["NAME"], ext_modules=[CppExtension("NAME._C", ["csrc/NAME.cpp"])])\n'
    )
    unit = (
        "#include <torch/extension.h>\nat::Tensor NAME(const at::Tensor& x) {\n"
        "  at::globalContext().alertNotDeterministic(__func__);\n  return x.clone();\n}\n"
        'TORCH_LIBRARY(NAME, m) { m.def("NAME(Tensor x) -> Tensor", &NAME); }\n'
    )
    files: dict[str, str] = {}
    for folder, name in (("", "oak"), ("projects/elm/", "elm")):
        files |= {
            f"{folder}setup.py": setup.replace("NAME", name),
            f"{folder}csrc/{name}.cpp": unit.replace("NAME", name),
            f"{folder}{name}/__init__.py": "from . import _C\n",
        }
    tree = make_repository(tmp_path, files)
    for path in ("csrc/oak.cpp", "projects/elm/csrc/elm.cpp"):
        ran = run_cli("migrate", path, "--write", cwd=tree)
        assert ran.code == 1, ran.err
        assert "at::globalContext" in ran.out
        commit_all(tree, path)
