"""Plans that the check has nothing to say about, though they look like ones that break something."""

from __future__ import annotations

from pathlib import Path

from torch_stabilize.config import Config
from torch_stabilize.layout.read import Program
from torch_stabilize.model import FileChange, Plan
from torch_stabilize.program.check import check_plan
from torch_stabilize.program.planned import Planned
from torch_stabilize.repository.snapshot import open_snapshot

from tests.conftest import make_repository

_SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="ovens",
    packages=["ovens"],
    ext_modules=[
        CppExtension(
            "ovens._C",
            ["csrc/bake.cpp", "vendor/flour/mill.cpp"],
            define_macros=[("TORCH_TARGET_VERSION", "0x020b000000000000ULL")],
        )
    ],
    cmdclass={"build_ext": BuildExtension},
)
"""
_BAKE = """\
#include <torch/csrc/stable/library.h>
#include "flour/grains.h"
#include "heat.h"
int64_t bake(int64_t n) { return n; }
STABLE_TORCH_LIBRARY(ovens, m) { m.def("bake(int n) -> int"); }
STABLE_TORCH_LIBRARY_IMPL(ovens, CompositeExplicitAutograd, m) { m.impl("bake", TORCH_BOX(&bake)); }
"""
_HEAT = '#pragma once\n#define HEAT_CHECK(x) TORCH_CHECK(x, "too hot")\nint heat();\n'
FILES = {
    "setup.py": _SETUP,
    "csrc/bake.cpp": _BAKE,
    "csrc/heat.h": _HEAT,
    "csrc/grains/grains.h": "#pragma once\n",
    "ovens/__init__.py": "from . import _C\n",
}


def _found(tmp_path: Path, changed: dict[str, str]) -> list[str]:
    snapshot = open_snapshot(make_repository(tmp_path / "ovens", FILES))
    files = tuple(FileChange(path, path, snapshot.read(path), text.encode()) for path, text in sorted(changed.items()))
    planned = Planned(Program(snapshot, Config()), Plan("bake", "2.11", files))
    return [f"{one.code} {one.message}" for one in check_plan(planned)]


def test_a_source_of_a_folder_that_is_not_checked_out(tmp_path: Path) -> None:
    changed = _SETUP.replace("vendor/flour/mill.cpp", "vendor/flour/stone_mill.cpp")
    assert _found(tmp_path, {"setup.py": changed}) == []


def test_a_source_that_is_not_there_in_a_folder_that_is(tmp_path: Path) -> None:
    changed = _SETUP.replace('"csrc/bake.cpp"', '"csrc/bake.cpp", "csrc/bakes.cpp"')
    (found,) = _found(tmp_path, {"setup.py": changed})
    assert "names csrc/bakes.cpp, which would not be there" in found


def test_an_include_that_was_found_nowhere_before(tmp_path: Path) -> None:
    assert _found(tmp_path, {"csrc/bake.cpp": _BAKE.replace("return n", "return n + 1")}) == []


def test_a_name_in_a_macro_that_nothing_uses(tmp_path: Path) -> None:
    assert _found(tmp_path, {"csrc/heat.h": _HEAT + "int cold();\n", "csrc/bake.cpp": _BAKE + "\n"}) == []


def test_a_name_in_a_macro_that_is_used(tmp_path: Path) -> None:
    used = _BAKE.replace("return n", "HEAT_CHECK(n < 9); return n")
    found = _found(tmp_path, {"csrc/bake.cpp": used})
    assert any(one.startswith("TSA710 TORCH_CHECK is left in csrc/heat.h") for one in found), found
