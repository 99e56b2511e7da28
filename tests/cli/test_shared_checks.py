"""A check in a header that a migrated unit shares with one that stays legacy: it has to compile in both."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Run, make_repository

HEADER = """\
#pragma once

#include <ATen/cuda/CUDAContext.h>

inline void check_chip(const char* op) {
  const auto* properties = at::cuda::getCurrentDeviceProperties();
  TORCH_CHECK(properties->major == 9, op, " needs another GPU");
}
"""
UNIT = """\
#include "chip.h"
#include <torch/types.h>

void {name}(torch::Tensor& out) {{ check_chip("{name}"); }}
"""
BINDINGS = """\
#include <torch/library.h>
#include "ops.h"
TORCH_LIBRARY(_C, ops) {
  ops.def("scale(Tensor! out) -> ()");
  ops.impl("scale", torch::kCUDA, &scale);
  ops.def("shift(Tensor! out) -> ()");
  ops.impl("shift", torch::kCUDA, &shift);
}
"""
FILES: dict[str, str | bytes] = {
    "setup.py": (
        "CUDAExtension(name='pkg._C', sources=['csrc/bindings.cpp', 'csrc/scale_kernels.cu', 'csrc/shift_kernels.cu'])\n"
    ),
    "pkg/__init__.py": "import pkg._C\n",
    "csrc/bindings.cpp": BINDINGS,
    "csrc/ops.h": (
        "#pragma once\n#include <torch/types.h>\nvoid scale(torch::Tensor& out);\nvoid shift(torch::Tensor& out);\n"
    ),
    "csrc/chip.h": HEADER,
    "csrc/scale_kernels.cu": UNIT.format(name="scale"),
    "csrc/shift_kernels.cu": UNIT.format(name="shift"),
}


def seen(text: str, *, stable: bool) -> list[str]:
    """The lines of a header that one of the two builds compiles."""
    lines, shown = [], [True]
    for line in text.splitlines():
        word = line.lstrip("# ").split(" ")[0] if line.startswith("#") else ""
        if line.startswith("#ifdef TORCH_TARGET_VERSION"):
            shown.append(stable)
        elif word == "else":
            shown[-1] = not shown[-1]
        elif word == "endif":
            shown.pop()
        elif all(shown):
            lines.append(line.strip())
    return lines


def test_both_builds_include_the_check_that_serves_both(run_cli: Run, tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repository", FILES)

    assert run_cli("migrate", "scale", "--write", cwd=root).code in (0, 1)

    text = (root / "csrc/chip.h").read_text()
    for stable in (True, False):
        lines = seen(text, stable=stable)
        check = next(n for n, line in enumerate(lines) if "CHECK(properties->major == 9" in line)
        assert "TORCH_UTILS_CHECK" in lines[check]
        assert '#include "torch_utils.h"' in lines[:check]
    assert "#include <ATen/cuda/CUDAContext.h>" in seen(text, stable=False)
    assert "#include <ATen/cuda/CUDAContext.h>" not in seen(text, stable=True)
