"""Python files that a migration adds register backwards and fakes: they are loaded with the library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from torch_stabilize.repository.snapshot import open_snapshot
from torch_stabilize.verify.registrations import Registrations, registrations
from torch_stabilize.verify.trees import read_tree

from tests.conftest import commit_all

REGISTERS = """\
import functools

import torch
from pkg import _C_stable
from pkg.inner import _C_stable as again

torch.library.register_fake("pkg::f", lambda x: x.new_empty(x.shape))
"""
LEGACY = REGISTERS.replace("_C_stable", "_C")
PLAIN = "import torch\n\n\ndef f(x):\n    return torch.ops.pkg.f(x)\n"


def found(tmp_path: Path, before: dict[str, str], after: dict[str, str]) -> Registrations:
    trees = []
    for name, files in (("before", before), ("after", after)):
        root = tmp_path / name
        for path, text in {"csrc/a.cpp": "", **files}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        commit_all(root, name)
        trees.append(read_tree(open_snapshot(root), name))
    legacy, work = trees
    return registrations(legacy, work, {"_C"}, {"_C", "_C_stable"})


def test_a_new_file_is_for_the_libraries_after_the_migration(tmp_path: Path) -> None:
    made = found(tmp_path, {"pkg/x.py": PLAIN}, {"pkg/x.py": PLAIN + "# changed\n", "pkg/_C_ops.py": REGISTERS})
    assert made == Registrations((), (tmp_path / "after/pkg/_C_ops.py",), ())


def test_a_file_that_changed_is_for_both_sides_where_both_have_its_libraries(tmp_path: Path) -> None:
    made = found(tmp_path, {"a.py": LEGACY, "b.py": REGISTERS}, {"a.py": REGISTERS, "b.py": REGISTERS + "# more\n"})
    assert made.before == (tmp_path / "before/a.py",)
    assert made.after == (tmp_path / "after/a.py", tmp_path / "after/b.py")


def test_a_file_that_is_what_it_was_is_left_alone(tmp_path: Path) -> None:
    assert found(tmp_path, {"a.py": REGISTERS}, {"a.py": REGISTERS}) == Registrations()


@pytest.mark.parametrize("more", ["from pkg import config", "import triton", "from .kernels import f", "x ="])
def test_a_file_that_needs_the_rest_of_its_package_is_named(tmp_path: Path, more: str) -> None:
    made = found(tmp_path, {}, {"pkg/ops.py": f"{REGISTERS}\n{more}\n"})
    assert made == Registrations((), (), ("pkg/ops.py",))


RUNS = """
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch_stabilize.verify.golden.python_files import run_files

library = ModuleType("_C_stable")
library.answer = 42
sys.modules["_C_stable"] = library
run_files([Path(name) for name in sys.argv[1:]], [Path("/somewhere/_C_stable.abi3.so")], torch)
assert "pkg" not in sys.modules
print(torch.ops.ext.f(torch.ones(2)).tolist())
"""
FILE = """
import torch
from pkg.deep import _C_stable
from . import _C_stable as same

torch.ops.load_library("/nowhere/_C_stable.so")
assert same is _C_stable
_kept = torch.library.Library("ext", "DEF")
_kept.define("f(Tensor x) -> Tensor")
_kept.impl("f", lambda x: x * _C_stable.answer, "CPU")
"""


@pytest.mark.torch
def test_a_file_is_run_with_the_libraries_that_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text(FILE)
    command = [sys.executable, "-c", RUNS, str(tmp_path / "ops.py")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout == "[42.0, 42.0]\n", ran.stderr
