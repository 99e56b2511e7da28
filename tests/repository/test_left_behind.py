"""Calls between a unit that moves and one that stays: one of the libraries would have an undefined symbol."""

from __future__ import annotations

from pathlib import Path

import pytest

from codemod.config import load_config
from codemod.left_behind import left_behind, lost_definitions, still_called
from codemod.repository.detect import detect_layout
from codemod.repository.groups import resolve_group
from codemod.repository.includes import IncludeGraph
from codemod.repository.snapshot import open_snapshot
from codemod.source.document import SOURCE_SUFFIXES
from tests.conftest import make_repository as commit

UNIT = '#include <torch/all.h>\n#include "impl.h"\nvoid run(at::Tensor x) { grid::Grid::fill(x.dim()); }\n'
FILES = {
    "setup.py": 'setup(ext_modules=[CppExtension("pkg._C", ["csrc/ops.cpp", "csrc/impl.cpp", "csrc/rest.cpp"])])\n',
    "csrc/ops.cpp": UNIT + 'TORCH_LIBRARY(my, m) { m.def("run(Tensor x) -> ()", &run); }\n',
    "csrc/impl.h": "#pragma once\nnamespace grid {\nstruct Grid { static void fill(int n); };\n}\ninline int side(int n) { return n; }\n",
    "csrc/impl.cpp": '#include "impl.h"\nvoid grid::Grid::fill(int n) {\n  side(n);\n}\n',
    "csrc/rest.cpp": "#include <torch/all.h>\nvoid fill(int n) {}\nstatic void run(int n) {}\n",
}


@pytest.mark.parametrize(
    ("units", "needed"), [(["csrc/ops.cpp"], ["csrc/impl.cpp"]), (["csrc/ops.cpp", "csrc/impl.cpp"], [])]
)
def test_a_needed_unit_that_stays_is_named(units: list[str], needed: list[str], tmp_path: Path) -> None:
    snapshot = open_snapshot(commit(tmp_path / "repository", FILES))
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    graph = IncludeGraph(snapshot, snapshot.below("csrc", SOURCE_SUFFIXES), ("csrc",))
    found = left_behind(snapshot, layout, graph, resolve_group(snapshot, layout, config, tuple(units)))
    assert [diagnostic.path for diagnostic in found] == needed
    assert all("csrc/ops.cpp moves and needs fill" in diagnostic.message for diagnostic in found)


def test_a_unit_that_does_not_include_the_header_of_its_own_function_is_named(tmp_path: Path) -> None:
    files = {
        **FILES,
        "csrc/impl.h": "#pragma once\nnamespace grid {\nvoid fill(int n);\n}\n",
        "csrc/impl.cpp": "namespace grid {\nvoid fill(int n) {}\n}\n",
        "csrc/ops.cpp": FILES["csrc/ops.cpp"].replace("grid::Grid::fill", "grid::fill"),
    }
    snapshot = open_snapshot(commit(tmp_path / "repository", files))
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    graph = IncludeGraph(snapshot, snapshot.below("csrc", SOURCE_SUFFIXES), ("csrc",))
    found = left_behind(snapshot, layout, graph, resolve_group(snapshot, layout, config, ("csrc/ops.cpp",)))
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
    snapshot = open_snapshot(commit(tmp_path / "repository", files))
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    graph = IncludeGraph(snapshot, snapshot.below("csrc", SOURCE_SUFFIXES), ("csrc",))
    found = still_called(snapshot, layout, graph, resolve_group(snapshot, layout, config, tuple(units)))
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
    snapshot = open_snapshot(commit(tmp_path / "repository", files))
    config = load_config(snapshot)
    layout = detect_layout(snapshot, config)
    graph = IncludeGraph(snapshot, snapshot.below("csrc", SOURCE_SUFFIXES), ("csrc",))
    for unit, needed in (("csrc/a.cpp", ["BLOCK, Shape, other_t"]), ("csrc/b.cpp", [])):
        found = lost_definitions(snapshot, layout, graph, resolve_group(snapshot, layout, config, (unit,)))
        assert [d.message.partition("needs ")[2].partition(", defined")[0] for d in found] == needed
