"""Small repositories made on the spot: a dictionary of files, committed, and opened as a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from torch_stabilize.repository.snapshot import Snapshot, open_snapshot

from tests import conftest

MakeRepository = Callable[[Mapping[str, "str | bytes"]], Snapshot]

BINDINGS = """\
#include "ops.h"
#include <torch/library.h>

TORCH_LIBRARY(_C, ops) {
  ops.def("scale(Tensor! out, Tensor input, float by) -> ()");
  ops.impl("scale", torch::kCUDA, &scale);
  ops.def("shift(Tensor! out, Tensor input) -> ()");
  ops.impl("shift", torch::kCUDA, &shift);
}
"""
UNIT = '#include "helpers.h"\nvoid {name}(torch::Tensor& out, torch::Tensor& input) {{}}\n'
# One extension with two groups, a helper header of each kind, and everything around it.
EXTENSION: dict[str, str | bytes] = {
    "setup.py": "CUDAExtension(name='pkg._C', sources=['csrc/bindings.cpp', 'csrc/scale_kernels.cu'])\n",
    "pkg/__init__.py": "import pkg._C\n",
    "csrc/bindings.cpp": BINDINGS,
    "csrc/ops.h": (
        "#pragma once\n#include <torch/all.h>\n"
        "void scale(torch::Tensor& out, torch::Tensor& input, double by);\n"
        "void shift(torch::Tensor& out, torch::Tensor& input);\n"
    ),
    "csrc/helpers.h": "#define CHECK_CUDA(x) TORCH_CHECK(x.is_cuda())\n",
    "csrc/plain.h": "inline int twice(int x) { return 2 * x; }\n",
    "csrc/scale_math.h": '#include "plain.h"\ninline at::Tensor half(at::Tensor x);\n',
    "csrc/scale_kernels.cu": UNIT.format(name="scale") + '#include "scale_math.h"\n',
    "csrc/shift_kernels.cu": UNIT.format(name="shift") + '#include "plain.h"\n',
}


@pytest.fixture
def make_repository(tmp_path: Path) -> MakeRepository:
    """A function that turns {path: text} into a committed repository."""

    def make(files: Mapping[str, str | bytes]) -> Snapshot:
        root = conftest.make_repository(tmp_path / "repository", files)
        for name, value in (("user.name", "A"), ("user.email", "a@example.org")):  # for commits of the tool
            conftest.git(root, "config", name, value)
        return open_snapshot(root)

    return make


@pytest.fixture
def extension(make_repository: MakeRepository) -> Snapshot:
    """The extension described above."""
    return make_repository(EXTENSION)


@pytest.fixture
def extension_files() -> dict[str, str | bytes]:
    """The files of `extension`, to vary."""
    return dict(EXTENSION)
