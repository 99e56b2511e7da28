"""What a package asks of torch once a stable library is in it."""

from __future__ import annotations

import pytest

from tests.buildfiles.trees import plan

_SETUP = """\
from torch.utils.cpp_extension import CppExtension
ext_modules = [CppExtension("pkg._C", ["csrc/bindings.cpp", "csrc/norm.cpp"])]
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('dependencies = ["torch"]', 'dependencies = ["torch>=2.11"]'),
        ('dependencies = ["numpy", "torch >= 2.4, <3"]', 'dependencies = ["numpy", "torch >=2.11, <3"]'),
        (
            "dependencies = [\n  'torchvision>=0.1',  # not ['torch>=2']\n  'torch~=2.4; python_version > \"3\"',\n]",
            "dependencies = [\n  'torchvision>=0.1',  # not ['torch>=2']\n  'torch~=2.11; python_version > \"3\"',\n]",
        ),
        ("dependencies = [\n  'torch>2.4',\n  'einops',\n]", "dependencies = [\n  'torch>=2.11',\n  'einops',\n]"),
        ('dependencies = ["torch>=2.12"]', 'dependencies = ["torch>=2.12"]'),
        ('dependencies = ["torch-scatter>=2.1"]', 'dependencies = ["torch-scatter>=2.1"]'),
        ('dynamic = ["dependencies"]', 'dynamic = ["dependencies"]'),
    ],
)
def test_the_floor_of_dependencies(before: str, after: str) -> None:
    head = '[build-system]\nrequires = ["torch>=2.4"]\n\n[project]\nname = "pkg"\n'
    tail = '\n[tool.other]\ndependencies = ["torch>=2.4"]\n'
    done = plan(
        {"setup.py": _SETUP, "pyproject.toml": head + before + tail, "csrc/bindings.cpp": ""}, ["csrc/norm.cpp"]
    )
    assert done.text("pyproject.toml") == head + after + tail
    assert bool(done.diagnostics("TSA626")) is (before != after)


def test_one_version_that_is_too_old_is_by_hand() -> None:
    files = {
        "setup.py": _SETUP,
        "csrc/bindings.cpp": "",
        "pyproject.toml": '[project]\ndependencies = ["torch==2.6.0"]\n',
    }
    done = plan(files, ["csrc/norm.cpp"])
    (found,) = done.diagnostics("TSA627")
    assert (found.path, found.help) == ("pyproject.toml", "Ask for torch>=2.11.")
    assert done.text("pyproject.toml") == files["pyproject.toml"]
