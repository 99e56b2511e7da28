"""What a GPU machine runs needs none of the packages that read C++ and build files: it has no network to get them from."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.sample.building import ROOT

ABSENT = ("jinja2", "libcst", "rich", "tree_sitter", "tree_sitter_cmake", "tree_sitter_cpp", "tree_sitter_cuda")
WITHOUT = f"""
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize(
    "module",
    [
        "tests.gpu.build_release",
        "tests.gpu.captured",
        "tests.gpu.run",
        "torch_stabilize.cli.golden",
        "torch_stabilize.verify.golden.capture.capture",
        "torch_stabilize.verify.golden.capture.targets",
        "torch_stabilize.verify.golden.session",
        "torch_stabilize.verify.golden.timing",
        "torch_stabilize.verify.table",
    ],
)
def test_modules_of_the_gpu_machine_are_there_without_those_that_read_sources(module: str) -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT, module], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
