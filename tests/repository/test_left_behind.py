"""Calls between a unit that moves and one that stays: one of the libraries would have an undefined symbol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from torch_stabilize.config import load_config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration.left_behind import left_behind, lost_definitions, still_called
from torch_stabilize.model import Diagnostic
from torch_stabilize.program.groups import resolve_group
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.layout import Group, Layout
from torch_stabilize.repository.snapshot import Snapshot, open_snapshot
from torch_stabilize.source.document import SOURCE_SUFFIXES

from tests.conftest import make_repository as commit

UNIT = '#include <torch/all.h>\n#include "impl.h"\nvoid run(at::Tensor x) { grid::Grid::fill(x.dim()); }\n'
FILES = {
    "setup.py": 'setup(ext_modules=[CppExtension("pkg._C", ["csrc/ops.cpp", "csrc/impl.cpp", "csrc/rest.cpp"])])\n',
    "csrc/ops.cpp": UNIT + 'TORCH_LIBRARY(my, m) { m.def("run(Tensor x) -> ()", &run); }\n',
    "csrc/impl.h": "#pragma once\nnamespace grid {\nstruct Grid { static void fill(int n); };\n}\ninline int side(int n) { return n; }\n",
    "csrc/impl.cpp": '#include "impl.h"\nvoid grid::Grid::fill(int n)  // of (n)\n{\n  side(n);\n}\n',
    "csrc/rest.cpp": "#include <torch/all.h>\nvoid fill(int n) {}\nstatic void run(int n) {}\n",
}

Crossing = Callable[[Snapshot, Layout, IncludeGraph, Group], tuple[Diagnostic, ...]]


class Tree:
    """A repository of `files` below csrc/."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.snapshot = open_snapshot(commit(folder / "repository", files))
        self.config = load_config(self.snapshot)
        self.layout = detect_layout(self.snapshot, self.config)
        self.graph = IncludeGraph(self.snapshot, self.snapshot.below("csrc", SOURCE_SUFFIXES), ("csrc",))

    def asked(self, crossing: Crossing, *units: str) -> tuple[Diagnostic, ...]:
        """What `crossing` says of a group of `units`."""
        group = resolve_group(self.snapshot, self.layout, self.config, units)
        return crossing(self.snapshot, self.layout, self.graph, group)


@pytest.mark.parametrize(
    ("units", "needed"), [(["csrc/ops.cpp"], ["csrc/impl.cpp"]), (["csrc/ops.cpp", "csrc/impl.cpp"], [])]
)
def test_a_needed_unit_that_stays_is_named(units: list[str], needed: list[str], tmp_path: Path) -> None:
    tree = Tree(tmp_path, FILES)
    found = tree.asked(left_behind, *units)
    assert [diagnostic.path for diagnostic in found] == needed
    assert all("csrc/ops.cpp moves and needs fill" in diagnostic.message for diagnostic in found)


def test_a_unit_that_does_not_include_the_header_of_its_own_function_is_named(tmp_path: Path) -> None:
    files = {
        **FILES,
        "csrc/impl.h": "#pragma once\nnamespace grid {\nvoid fill(int n);\n}\n",
        "csrc/impl.cpp": "namespace grid {\nvoid fill(int n) {}\n}\n",
        "csrc/ops.cpp": FILES["csrc/ops.cpp"].replace("grid::Grid::fill", "grid::fill"),
    }
    tree = Tree(tmp_path, files)
    found = tree.asked(left_behind, "csrc/ops.cpp")
    assert [diagnostic.path for diagnostic in found] == ["csrc/impl.cpp"]


@pytest.mark.parametrize(("units", "callers"), [(["csrc/impl.cpp"], ["csrc/ops.cpp"]), (["csrc/ops.cpp"], [])])
def test_a_caller_that_stays_is_named(units: list[str], callers: list[str], tmp_path: Path) -> None:
    files = {
        **FILES,
        "csrc/impl.h": "#pragma once\nvoid fill(int n);\n",
        "csrc/impl.cpp": '#include <torch/all.h>\n#include "impl.h"\nvoid fill(int n) { TORCH_CHECK(n); }\n',
        "csrc/ops.cpp": FILES["csrc/ops.cpp"].replace("grid::Grid::fill", "fill"),
        "csrc/rest.cpp": "#include <torch/all.h>\nstatic void fill(int n) {}\nvoid other() { fill(1); }\n",
    }
    tree = Tree(tmp_path, files)
    found = tree.asked(still_called, *units)
    assert [diagnostic.path for diagnostic in found] == callers


def test_what_a_header_of_declarations_defines_besides_them_is_named(tmp_path: Path) -> None:
    header = (
        "#pragma once\n#include <torch/all.h>\n#define BLOCK 16\n#define OTHER 1\nstruct Shape { int n; };\n"
        "using handle_t = long;\nusing other_t = int;\nhandle_t scale(at::Tensor x);\nvoid shift(at::Tensor x);\n"
    )
    files = {
        "setup.py": 'setup(ext_modules=[CppExtension("pkg._C", ["csrc/ops.cpp", "csrc/a.cpp", "csrc/b.cpp"])])\n',
        "csrc/ops.h": header,
        "csrc/ops.cpp": '#include "ops.h"\nTORCH_LIBRARY(my, m) { m.def("scale(Tensor x) -> ()", &scale); '
        'm.def("shift(Tensor x) -> ()", &shift); }\n',
        "csrc/a.cpp": '#include "ops.h"\nhandle_t scale(at::Tensor x) { Shape s{BLOCK}; other_t n; }\n',
        "csrc/b.cpp": '#include "ops.h"\nvoid shift(at::Tensor x) {}\n',
    }
    tree = Tree(tmp_path, files)
    for unit, needed in (("csrc/a.cpp", ["BLOCK, Shape, other_t"]), ("csrc/b.cpp", [])):
        found = tree.asked(lost_definitions, unit)
        assert [d.message.partition("needs ")[2].partition(", defined")[0] for d in found] == needed
