"""Python modules that setup.py builds in a loop or a function: each keeps its name, and a second run leaves the tree alone."""

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


OF_A_TABLE = """\
TABLE = [("_left", ["csrc/left.cpp"]), ("_right", ["csrc/right.cpp"])]
modules = [CppExtension(f"pkg.{name}", files) for name, files in TABLE]
"""


def test_a_module_of_a_table(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "pkg", {**FILES, "setup.py": OF_A_TABLE})

    assert run_cli("migrate", "csrc/right.cpp", "--write", cwd=tree).code == 0

    setup = (tree / "setup.py").read_text()
    assert setup.startswith('TABLE = [("_left", ["csrc/left.cpp"])]\n')
    assert '    "pkg._right_stable_libtorch",\n' in setup
    assert "_left.left(torch.ops.pkg.right(x))" in (tree / "pkg/__init__.py").read_text()


def test_a_module_of_a_loop(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "pkg", FILES)

    ran = run_cli("migrate", "csrc/right.cpp", "--write", cwd=tree)

    assert ran.code == 0
    setup = (tree / "setup.py").read_text()
    assert setup.startswith('for n in ("left",):\n')
    assert 'modules.append(CppExtension(\n    "pkg._right_stable_libtorch",\n' in setup
    unit = (tree / "csrc/libtorch_stable/right.cpp").read_text()
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(pkg, m)" in unit
    assert "PyInit__right_stable_libtorch" in unit
    package = (tree / "pkg/__init__.py").read_text()
    assert "from . import _left, _right_ops as _right\n" in package
    assert "_left.left(torch.ops.pkg.right(x))" in package
    commit_all(tree, "Migrate")
    assert run_cli("migrate", "csrc/right.cpp", cwd=tree).out == ""


SETUP = """\
def make_ext(name, module, sources):
    extension = CppExtension(
        name="%s.%s" % (module, name), sources=[os.path.join(*module.split("."), source) for source in sources]
    )
    return extension


modules = [
    make_ext("left_ext", "pkg.ops.left", ["src/left.cpp"]),
    make_ext("right_ext", "pkg.ops.right", ["src/right.cpp"]),
]
"""


def test_a_module_of_a_function_whose_sources_lie_beside_it(tmp_path: Path, run_cli: Run) -> None:
    sides = ("left", "right")
    files = {f"pkg/ops/{side}/src/{side}.cpp": UNIT.format(name=side) for side in sides}
    files |= {f"pkg/ops/{side}/__init__.py": f"from . import {side}_ext\n" for side in sides}
    files |= {"pkg/__init__.py": "", "pkg/ops/__init__.py": "", "setup.py": SETUP}
    tree = make_repository(tmp_path / "pkg", files)

    assert run_cli("migrate", "right", "--write", cwd=tree).code == 0

    unit = (tree / "pkg/ops/libtorch_stable/right/src/right.cpp").read_text()
    assert "STABLE_TORCH_LIBRARY_FRAGMENT(pkg_ops_right, m)" in unit
    setup = (tree / "setup.py").read_text()
    assert 'make_ext("left_ext", "pkg.ops.left", ["src/left.cpp"]),' in setup
    assert 'name="pkg.ops.right.right_ext_stable_libtorch",' in setup
    assert 'sources=["pkg/ops/libtorch_stable/right/src/right.cpp"],' in setup
    assert (tree / "pkg/ops/right/__init__.py").read_text() == "from . import right_ext_ops as right_ext\n"
    side = (tree / "pkg/ops/right/right_ext_ops.py").read_text()
    assert "from pkg.ops.right import right_ext_stable_libtorch  # noqa: F401\n" in side
    assert "right = torch.ops.pkg_ops_right.right\n" in side
    commit_all(tree, "Migrate")
    assert run_cli("migrate", "right", cwd=tree).out == ""
