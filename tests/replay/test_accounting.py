"""No site vanishes from whole trees: an independent search for names against what scan lists and a migration does."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from torch_stabilize.config import Config
from torch_stabilize.layout.detect import detect_layout
from torch_stabilize.migration.plan import Options, plan_migration
from torch_stabilize.model import Plan
from torch_stabilize.program.groups import resolve_group
from torch_stabilize.program.scan import scan_tree
from torch_stabilize.repository.snapshot import open_snapshot

from tests.conftest import make_repository
from tests.replay.accounting import sites_add_up, unaccounted, unstable_names

BINDINGS = """#include <torch/library.h>
#include "ops.h"
TORCH_LIBRARY(made_up, m) {
%s}
"""
# Statements of a function `void f(torch::Tensor& x, const std::optional<at::Tensor>& y)`; NAME stands for a fresh name.
STATEMENTS = (
    "  TORCH_CHECK(x.is_contiguous(), \"at::Tensor x\", x.sizes());",
    "  torch::Tensor NAME = torch::empty_like(x);",
    "  auto NAME = at::zeros({x.size(0)}, x.options().dtype(torch::kFloat32));",
    "  const at::cuda::OptionalCUDAGuard NAME(device_of(x));",
    "  cudaStream_t NAME = at::cuda::getCurrentCUDAStream();",
    "  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), \"f\", [&] { launch<scalar_t>(x.data_ptr<scalar_t>()); });",
    "  // torch::Tensor in a comment, c10::Half /* at::Half */",
    "#ifdef USE_ROCM\n  at::Tensor NAME = x.clone();\n#else\n  at::Tensor NAME = x.contiguous();\n#endif",
    "#ifndef TORCH_TARGET_VERSION\n  at::globalContext();\n#endif",
    "  if (y.has_value()) TORCH_CHECK_EQ(y->dim(), 2);",
    "  CHECKED(x);",
    "  at::some_thing_nobody_knows(x);",
    "  auto NAME = [](c10::ArrayRef<int64_t> s) { return s.size(); };",
    "  std::string NAME = R\"(torch::Tensor at::Half)\";",
    "  torch::nn::functional::normalize(x);",
)  # fmt: skip
HEADER = """#pragma once
#include <torch/all.h>
#define CHECKED(t)                     \\
  TORCH_CHECK(t.is_cuda(), #t);        \\
  at::Tensor t##_copy = torch::clone(t)
inline bool is_half(const at::Tensor& t) { return t.scalar_type() == at::ScalarType::Half; }
"""


def made_up_tree(seed: int) -> dict[str, str]:
    """A repository of a few units that share a header, from statements drawn at random."""
    choose = random.Random(seed)
    files = {"csrc/common.h": HEADER, "setup.py": "from setuptools import setup\n\nsetup(name='made_up')\n"}
    declared, registered = "#pragma once\n#include <torch/all.h>\n", ""
    for number in range(choose.randint(2, 4)):
        name = f"op_{number}"
        body = [choose.choice(STATEMENTS).replace("NAME", f"v{place}") for place in range(choose.randint(2, 9))]
        head = f"void {name}(torch::Tensor& x, const std::optional<at::Tensor>& y)"
        suffix = choose.choice([".cu", ".cpp"])
        text = "\n".join(['#include "common.h"', "#include <ATen/cuda/CUDAContext.h>", f"{head} {{", *body, "}", ""])
        files[f"csrc/{name}{suffix}"] = text
        declared += f"{head};\n"
        registered += f'  m.def("{name}(Tensor! x, Tensor? y) -> ()", &{name});\n'
    return files | {"csrc/ops.h": declared, "csrc/bindings.cpp": BINDINGS % registered}


def migrated(folder: Path) -> tuple[Plan, tuple[str, ...]]:
    """The plan for all units of the tree in one run, and the files it is about."""
    snapshot = open_snapshot(folder)
    layout = detect_layout(snapshot, Config())
    names = tuple(str(folder / path) for path in snapshot.files if "/op_" in path)
    group = resolve_group(snapshot, layout, Config(), names)
    return plan_migration(snapshot, layout, group, Options(format=False)), (*group.files, *group.shared_headers)


@pytest.mark.parametrize("seed", range(8))
def test_a_migration_edits_reports_or_allows_every_name(tmp_path: Path, seed: int) -> None:
    plan, files = migrated(make_repository(tmp_path, made_up_tree(seed)))
    assert sum(count.found for count in plan.sites.values()) > 5
    assert sites_add_up(plan) == []
    assert unaccounted(plan, files) == []


def test_a_name_that_is_left_out_is_noticed(tmp_path: Path) -> None:
    plan, files = migrated(make_repository(tmp_path, made_up_tree(1)))
    forgotten = [change for change in plan.files if change.old_path in files and len(change.edits) > 3]
    cut = tuple(replace(change, edits=()) if change in forgotten else change for change in plan.files)
    assert forgotten
    assert len(unaccounted(replace(plan, files=cut), files)) >= len(forgotten)
    fewer = {path: replace(count, found=count.found + 1) for path, count in plan.sites.items()}
    assert len(sites_add_up(replace(plan, sites=fewer))) == len(fewer)


@pytest.mark.parametrize("seed", range(8))
def test_a_scan_lists_every_name(tmp_path: Path, seed: int) -> None:
    snapshot = open_snapshot(make_repository(tmp_path, made_up_tree(seed)))
    listed = {
        (site.path, site.line, site.column) for site in scan_tree(snapshot, detect_layout(snapshot, Config())).sites
    }
    for path in snapshot.below("csrc", (".cu", ".cpp", ".h")):
        data = snapshot.read(path)
        for span, name in unstable_names(data):
            line = data.count(b"\n", 0, span.start) + 1
            column = span.start - data.rfind(b"\n", 0, span.start)
            legacy = data[: span.start].endswith(b"#ifndef TORCH_TARGET_VERSION\n  ")
            assert legacy or (path, line, column) in listed, (path, line, name)
