"""Generated wrappers and helpers go where the headers of torch have what they stand for, and only there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from torch_stabilize.cli.workspace import open_workspace
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Plan
from torch_stabilize.program.groups import resolve_group
from torch_stabilize.retire.plan import plan_retirement
from torch_stabilize.surface.headers import installed_version, target_macro
from torch_stabilize.surface.versions import parse_version
from torch_stabilize.writer import write

from tests.conftest import Run, make_repository

UNIT = "csrc/order.cpp"
STABLE = "csrc/libtorch_stable/order.cpp"
WRAPPERS = "csrc/libtorch_stable/stable_aten.h"
HELPERS = "csrc/libtorch_stable/torch_utils.h"
FILES = {
    UNIT: """\
#include <ATen/ATen.h>
#include <c10/util/irange.h>
#include <torch/library.h>

at::Tensor order(const at::Tensor& x, const at::Tensor& rows) {
  auto turned = x.permute({1, 0}).index_select(0, rows);
  auto bits = turned.view(at::kInt).bitwise_and(rows).bitwise_or(3);
  int64_t steps = 0;
  for (const auto i : c10::irange(x.size(0))) {
    steps += i;
  }
  auto sorted = std::get<0>(bits.sort(-1, true));
  return sorted.cumsum(0) + steps;
}

TORCH_LIBRARY(ordering, m) {
  m.def("order(Tensor x, Tensor rows) -> Tensor");
  m.impl("order", torch::kCPU, &order);
}
""",
    "setup.py": """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="ordering",
    packages=["ordering"],
    ext_modules=[CppExtension("ordering._C", ["csrc/order.cpp"])],
    cmdclass={"build_ext": BuildExtension},
)
""",
    "ordering/__init__.py": "from . import _C\n",
}


def migrated(root: Path, headers: str, unit: str = UNIT) -> None:
    """Migrate `unit` with headers of torch `headers`."""
    work = open_workspace(root, names=(unit,))
    group = resolve_group(work.snapshot, work.layout, work.config, (unit,))
    options = Options(target="2.11", headers=headers)
    write(plan_migration(work.snapshot, work.layout, group, options, work.config), work.snapshot)


def retired(root: Path, headers: str) -> Plan:
    """The plan of a retirement."""
    work = open_workspace(root)
    return plan_retirement(work.snapshot, work.layout, "2.11", headers, work.config)


def done(root: Path, headers: str) -> Plan:
    """Retire, write it, and see that there is nothing left to retire."""
    plan = retired(root, headers)
    work = open_workspace(root)
    write(plan, work.snapshot, allow_dirty=True)
    assert retired(root, headers).is_empty
    return plan


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = make_repository(tmp_path / "tree", FILES)
    migrated(root, "2.11")
    return root


def test_a_unit_that_is_retired_is_as_newer_headers_would_have_had_it(tree: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other", FILES)
    migrated(other, "2.15")
    before = (tree / STABLE).read_text()
    assert "stable_aten::permute" in before
    done(tree, "2.15")
    for path in (STABLE, WRAPPERS):
        assert (tree / path).read_text() == (other / path).read_text()
    assert not (tree / HELPERS).exists()
    assert not (other / HELPERS).exists()


def test_what_the_headers_lack_stays(tree: Path) -> None:
    done(tree, "2.14")
    text = (tree / STABLE).read_text()
    assert "torch::stable::permute(x, {1, 0})" in text
    assert "stable_aten::sort(bits, -1, true)" in text
    assert "stable_aten::bitwise_or(" in text  # of a number, which the stable function does not take
    assert " : irange(" in text
    assert (tree / HELPERS).exists()
    wrappers = (tree / WRAPPERS).read_text()
    assert "// aten::sort" in wrappers
    assert "// aten::permute" not in wrappers


def test_nothing_goes_where_the_headers_are_those_of_the_migration(tree: Path) -> None:
    assert retired(tree, "2.11").is_empty


def test_the_check_of_status_codes_goes_with_the_headers_that_lack_it(tree: Path) -> None:
    assert "#ifndef STABLE_TORCH_ERROR_CODE_CHECK" in (tree / WRAPPERS).read_text()
    done(tree, "2.13")
    assert "#ifndef STABLE_TORCH_ERROR_CODE_CHECK" not in (tree / WRAPPERS).read_text()
    assert "stable_aten::permute" in (tree / STABLE).read_text()


def test_a_header_that_was_edited_by_hand_loses_what_is_generated_alone(tree: Path) -> None:
    path = tree / HELPERS
    path.write_text(path.read_text() + "\ninline int own_helper() { return 1; }\n")
    done(tree, "2.15")
    text = path.read_text()
    assert "own_helper" in text
    assert "IntegerRange" not in text
    assert "HIDDEN_NAMESPACE_BEGIN" not in text
    assert '#include "torch_utils.h"' in (tree / STABLE).read_text()


def test_formatting_does_not_hide_generated_code(tree: Path) -> None:
    path = tree / HELPERS
    path.write_text(path.read_text().replace("{\n  ", "{\n        "))
    done(tree, "2.15")
    assert not path.exists()


def test_a_namesake_keeps_a_helper(tree: Path) -> None:
    other = tree / "csrc/libtorch_stable/other.cpp"
    other.write_text(
        '#include "torch_utils.h"\n\nstatic int irange(double x) { return int(x); }\nint g() { return irange(1.0); }\n'
    )
    plan = done(tree, "2.15")
    assert (tree / HELPERS).exists()
    (note,) = [d for d in plan.diagnostics if d.code == "TSA932"]
    assert "irange stays: csrc/libtorch_stable/other.cpp uses it and has a irange of its own" in note.message


ATOMIC = {
    **FILES,
    "csrc/count.cu": """\
#include <ATen/cuda/Atomic.cuh>
#include <torch/all.h>

__global__ void count_kernel(at::Half* to, const at::Half* from) {
  gpuAtomicAdd(to, from[threadIdx.x]);
}

void count(at::Tensor& to, const at::Tensor& from) {
  count_kernel<<<1, 32>>>(to.data_ptr<at::Half>(), from.data_ptr<at::Half>());
}
""",
    "csrc/ops.cpp": """\
#include <torch/all.h>
#include <torch/library.h>

void count(at::Tensor& to, const at::Tensor& from);

TORCH_LIBRARY(ordering, m) {
  m.def("count(Tensor! to, Tensor x) -> ()");
  m.impl("count", torch::kCUDA, &count);
}
""",
    "setup.py": FILES["setup.py"].replace("csrc/order.cpp", 'csrc/ops.cpp", "csrc/count.cu').replace("Cpp", "CUDA"),
}


def test_atomics_come_from_the_header_of_torch(tmp_path: Path) -> None:
    files = {path: text for path, text in ATOMIC.items() if path != UNIT}
    root = make_repository(tmp_path / "tree", files)
    migrated(root, "2.13", "csrc/count.cu")
    stable = root / "csrc/libtorch_stable/count.cu"
    before = stable.read_text()
    assert "torch/headeronly/cuda/Atomic.h" not in before
    assert "gpu_atomic_update" in (root / HELPERS).read_text()
    plan = done(root, "2.14")
    assert "#include <torch/headeronly/cuda/Atomic.h>" in stable.read_text()
    assert "gpuAtomicAdd(to, from[threadIdx.x])" in stable.read_text()
    assert "gpu_atomic_update" not in ((root / HELPERS).read_text() if (root / HELPERS).exists() else "")
    assert any(file.old_path == "csrc/libtorch_stable/count.cu" for file in plan.files)


def test_the_command_shows_commits_and_has_nothing_left(tree: Path, run_cli: Run) -> None:
    subprocess.run(["git", "add", "--all"], cwd=tree, check=True)
    subprocess.run(["git", "commit", "-qm", "migrated"], cwd=tree, check=True)
    shown = run_cli("retire", "--headers", "2.15", cwd=tree)
    assert shown.code == 0, shown.err
    assert "+  auto turned = torch::stable::index_select(torch::stable::permute(x, {1, 0}), 0, rows);" in shown.out
    assert "torch-stabilize retire --headers 2.15 --write" in shown.err
    assert run_cli("retire", "--headers", "2.15", "--commit", cwd=tree).code == 0
    log = subprocess.run(["git", "log", "-1", "--format=%s"], cwd=tree, check=True, capture_output=True, text=True)
    assert log.stdout == "Use what the headers of torch 2.15 have\n"
    assert "nothing to change" in run_cli("retire", "--headers", "2.15", cwd=tree).err
    assert run_cli("retire", "--headers", "2.10", cwd=tree).code == 2


@pytest.mark.compile
def test_what_is_retired_compiles_with_stable_headers_alone(tree: Path, stable_tree: Path, compiler: str) -> None:
    own = ".".join(installed_version(stable_tree).split(".")[:2])
    if parse_version(own) < parse_version("2.11"):
        pytest.skip(f"headers of {own}")
    done(tree, own)
    defined = [f"-DTORCH_TARGET_VERSION={target_macro('2.11')}", f"-isystem{stable_tree}"]
    command = [compiler, "-std=c++17", "-fsyntax-only", *defined, str(tree / STABLE)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
