"""Two modules of one package with a function of the same name: each keeps its own."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Run, make_repository

_KERNEL = """\
#include <torch/extension.h>
#include "{name}.h"
at::Tensor shift(at::Tensor x) {{
  TORCH_CHECK(x.dim() == 1, "one dimension");
  return torch::empty_like(x);
}}
"""
_HEADER = "#pragma once\n#include <torch/extension.h>\nat::Tensor shift(at::Tensor x);\n"
_BIND = '#include "{name}.h"\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {{ m.def("shift", &shift); }}\n'
FILES = {
    **{f"src/{name}/{name}.h": _HEADER for name in ("up", "down")},
    **{f"src/{name}/{name}.cpp": _KERNEL.format(name=name) for name in ("up", "down")},
    **{f"src/{name}/bind_{name}.cpp": _BIND.format(name=name) for name in ("up", "down")},
    "dirs/__init__.py": "",
    "dirs/up.py": "from . import _up\n\n\ndef up(x):\n    return _up.shift(x)\n",
    "dirs/down.py": "from . import _down\n\n\ndef down(x):\n    return _down.shift(x)\n",
    "setup.py": """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="dirs",
    packages=["dirs"],
    ext_modules=[
        CppExtension("dirs._up", ["src/up/bind_up.cpp", "src/up/up.cpp"]),
        CppExtension("dirs._down", ["src/down/bind_down.cpp", "src/down/down.cpp"]),
    ],
    cmdclass={"build_ext": BuildExtension},
)
""",
}


def test_the_other_module_stays_as_it_is(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "dirs", FILES)

    ran = run_cli("migrate", "src/down/down.cpp", "--write", cwd=tree)

    assert "TSA708" not in ran.out, ran
    assert "TSA520" not in ran.out, ran
    assert (tree / "src/up/bind_up.cpp").read_text() == FILES["src/up/bind_up.cpp"]
    assert (tree / "dirs/up.py").read_text() == FILES["dirs/up.py"]
    assert "torch.ops.dirs_down.shift(x)" in (tree / "dirs/down.py").read_text()


def test_one_module_after_the_other_has_a_stable_library_of_its_own(tmp_path: Path, run_cli: Run) -> None:
    tree = make_repository(tmp_path / "dirs", FILES)

    for name in ("down", "up"):
        ran = run_cli("migrate", f"src/{name}/{name}.cpp", "--write", "--allow-dirty", cwd=tree)
        assert ran.code == 0, ran

    bindings = [p for p in tree.glob("src/libtorch_stable/**/*.cpp") if "STABLE_TORCH_LIBRARY_F" in p.read_text()]
    assert len(bindings) == 2
    assert sorted(p.read_text().count('m.def("shift(') for p in bindings) == [1, 1]
    setup = (tree / "setup.py").read_text()
    assert setup.count("_stable_libtorch") == 2, setup
