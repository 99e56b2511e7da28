"""What the rules make of whole files of a plan: include blocks, headers that legacy units keep, dispatch macros, state."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_stabilize.cli.workspace import open_workspace
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Plan
from torch_stabilize.program.groups import resolve_group

from tests.conftest import make_repository

UNIT, OTHER, SHARED = "csrc/paint.cpp", "csrc/erase.cpp", "csrc/canvas.h"
FILES = {
    "setup.py": "from setuptools import setup\nfrom torch.utils.cpp_extension import BuildExtension, CppExtension\n"
    "setup(name='art', ext_modules=[CppExtension('art._C', ['csrc/paint.cpp', 'csrc/erase.cpp', 'csrc/bindings.cpp'])],\n"
    "      cmdclass={'build_ext': BuildExtension})\n",
    "art/__init__.py": "from . import _C\n",
    "csrc/bindings.cpp": '#include <torch/library.h>\n#include "ops.h"\n\nTORCH_LIBRARY(art, m) {\n'
    '  m.def("paint(Tensor x) -> Tensor");\n  m.def("erase(Tensor x) -> Tensor");\n}\n\n'
    'TORCH_LIBRARY_IMPL(art, CPU, m) {\n  m.impl("paint", &paint);\n  m.impl("erase", &erase);\n}\n',
    "csrc/ops.h": "#pragma once\n#include <ATen/ATen.h>\nat::Tensor paint(const at::Tensor& x);\nat::Tensor erase(const at::Tensor& x);\n",
    SHARED: """\
#pragma once
#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <vector>

#define ART_DISPATCH(TYPE, NAME, ...) \\
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE(at::ScalarType::Float, __VA_ARGS__) \\
                     AT_DISPATCH_CASE(at::ScalarType::Half, __VA_ARGS__))

inline int& strokes() { static int count = 0; return count; }
inline bool is_blank(const at::Tensor& x) { return x.numel() == 0 || x.scalar_type() == at::kHalf; }
""",
    UNIT: """\
// Paints.
#include <ATen/ATen.h>
#include <c10/util/Optional.h>

#include <algorithm>
#include "canvas.h"
#ifdef ART_FAST
#include <ATen/native/cpu/Loops.h>
#endif

at::Tensor paint(const at::Tensor& x) {
  TORCH_CHECK(!is_blank(x), "blank");
  TORCH_CHECK_EQ(x.dim(), 2);
  ++strokes();
  at::Tensor out = at::empty_like(x);
  ART_DISPATCH(x.scalar_type(), "paint", [&] { out.data_ptr<scalar_t>()[0] = scalar_t(1); });
  return out;
}
""",
    OTHER: '#include <ATen/ATen.h>\n#include "canvas.h"\nat::Tensor erase(const at::Tensor& x) {\n'
    "  if (is_blank(x)) ++strokes();\n  return at::zeros_like(x);\n}\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan for the one unit; the other one stays."""
    root: Path = make_repository(tmp_path_factory.mktemp("art") / "repository", FILES)
    workspace = open_workspace(root, names=(UNIT,))
    group = resolve_group(workspace.snapshot, workspace.layout, workspace.config, (UNIT,))
    options = Options(format=False, target="2.11")
    return plan_migration(workspace.snapshot, workspace.layout, group, options, workspace.config)


def after(plan: Plan, name: str) -> str:
    """The text that a file of the plan gets, by the end of its new path."""
    (found,) = [one.after for one in plan.files if one.new_path is not None and one.new_path.endswith(name)]
    return (found or b"").decode()


def test_the_include_block_of_a_unit(plan: Plan) -> None:
    text = after(plan, "paint.cpp")
    assert text.startswith("// Paints.\n")
    assert "ATen/ATen.h" not in text
    assert "c10/util/Optional.h" not in text
    assert "#include <torch/csrc/stable/tensor.h>" in text
    assert "#include <algorithm>" in text


def test_checks_and_pointers_of_a_unit(plan: Plan) -> None:
    text = after(plan, "paint.cpp")
    assert 'STD_TORCH_CHECK(!is_blank(x), "blank");' in text
    assert "STD_TORCH_CHECK_EQ(x.dim(), 2);" in text
    assert "#define STD_TORCH_CHECK_EQ" in "".join((one.after or b"").decode() for one in plan.files)
    assert "out.mutable_data_ptr<scalar_t>()[0]" in text


def test_a_header_that_a_legacy_unit_keeps_has_both(plan: Plan) -> None:
    text = after(plan, "canvas.h")
    assert "#ifdef TORCH_TARGET_VERSION" in text
    assert "torch::stable::Tensor& x" in text
    assert "const at::Tensor& x" in text
    assert "#include <ATen/ATen.h>" in text


def test_a_dispatch_macro_keeps_its_dtypes(plan: Plan) -> None:
    everything = "".join((one.after or b"").decode() for one in plan.files)
    assert "THO_DISPATCH_SWITCH" in everything
    assert "torch::headeronly::ScalarType::Half" in everything


def test_state_that_would_be_there_twice_is_reported(plan: Plan) -> None:
    found = [diagnostic for diagnostic in plan.diagnostics if diagnostic.code == "TSA905"]
    assert [one.path for one in found] == [SHARED]


def test_the_difference_of_errors_is_told_once(plan: Plan) -> None:
    assert [one.code for one in plan.diagnostics].count("TSA177") == 1


def test_a_unit_that_moves_after_its_header_was_switched_gets_what_torch_brought(tmp_path: Path) -> None:
    """The header has torch for legacy units alone since the first migration: the second unit loses it with its own."""
    files = dict(FILES)
    files[OTHER] = '#include "canvas.h"\n' + FILES[OTHER].partition("\n")[2].partition("\n")[2].replace(
        "  return", "  std::unordered_set<int64_t> seen(x.sizes().begin(), x.sizes().end());\n  return"
    )
    root = make_repository(tmp_path / "repository", files)
    for unit in (UNIT, OTHER):
        workspace = open_workspace(root, names=(unit,))
        group = resolve_group(workspace.snapshot, workspace.layout, workspace.config, (unit,))
        options = Options(format=False, target="2.11", in_place=True)
        done = plan_migration(workspace.snapshot, workspace.layout, group, options, workspace.config)
        for file in done.files:
            if file.new_path is not None and file.after is not None:
                (root / file.new_path).parent.mkdir(parents=True, exist_ok=True)
                (root / file.new_path).write_bytes(file.after)
    assert "def TORCH_TARGET_VERSION" in (root / SHARED).read_text()
    assert "#include <unordered_set>" in (root / OTHER).read_text()
