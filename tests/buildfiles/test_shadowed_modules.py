"""A package may bind the name of its extension module to a function of it: `from pkg import ext` gives the function."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, make_repository

UNIT = """#include <torch/extension.h>
at::Tensor gather(at::Tensor x) { return at::relu(x); }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("gather", &gather); }
"""
SETUP = """from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="pool",
    packages=["pool"],
    ext_modules=[CppExtension("pool.gather_cpu", ["pool/gather.cpp"])],
    cmdclass={"build_ext": BuildExtension},
)
"""
USER = "from pool import gather_cpu\n\n\ndef test_it(x):\n    return {}(x)\n"
HIDING = {
    "a function under the module's name": "from .gather_cpu import gather as gather_cpu\n",
    "with the package's full name": "from pool.gather_cpu import gather as gather_cpu\n",
    "a function around it": "from .gather_cpu import gather\n\n\ndef gather_cpu(x):\n    return gather(x)\n",
    "an assignment": "from . import gather_cpu as module\n\ngather_cpu = module.gather\n",
    "where it can be imported": "try:\n    from .gather_cpu import gather as gather_cpu\nexcept ImportError:\n    raise\n",
}
SHOWING = {
    "nothing": "",
    "the module itself": "from . import gather_cpu\n",
    "a function under its own name": "from .gather_cpu import gather\n",
    "a name within a function": "def use(x):\n    gather_cpu = x\n    return gather_cpu\n",
}


def migrated(run_cli: Run, folder: Path, init: str, call: str) -> tuple[str, str]:
    """What becomes of the file that uses the package, and of the package."""
    files = {
        "setup.py": SETUP,
        "pool/gather.cpp": UNIT,
        "pool/__init__.py": init,
        "tests/test_it.py": USER.format(call),
    }
    made = make_repository(folder, files)
    run_cli("migrate", "pool/gather.cpp", "--write", cwd=made)
    return (made / "tests/test_it.py").read_text(), (made / "pool/__init__.py").read_text()


@pytest.mark.parametrize("kind", HIDING)
def test_a_function_stays_one(run_cli: Run, tmp_path: Path, kind: str) -> None:
    user, package = migrated(run_cli, tmp_path, HIDING[kind], "gather_cpu")
    assert user == USER.format("gather_cpu")
    assert "gather_cpu import" not in package, "the module is gone"
    assert "import gather_cpu as" not in package


@pytest.mark.parametrize("kind", SHOWING)
def test_the_module_is_replaced(run_cli: Run, tmp_path: Path, kind: str) -> None:
    text, _ = migrated(run_cli, tmp_path, SHOWING[kind], "gather_cpu.gather")
    assert "from pool import gather_cpu\n" not in text
