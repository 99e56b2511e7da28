"""Small repositories made on the spot: a dictionary of files, committed, and opened as a snapshot."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from codemod.repository.snapshot import Snapshot, open_snapshot

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


def git(folder: Path, *arguments: str) -> str:
    """Run git with a made-up author and return what it prints."""
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *author, *arguments], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.fixture
def make_repository(tmp_path: Path) -> MakeRepository:
    """A function that turns {path: text} into a committed repository."""

    def make(files: Mapping[str, str | bytes]) -> Snapshot:
        root = tmp_path / "repository"
        for path, content in files.items():
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        git(root, "init", "-q")
        git(root, "config", "user.name", "A")
        git(root, "config", "user.email", "a@example.org")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "legacy")
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


def tree(root: Path) -> dict[str, bytes]:
    """Every file below `root` with its bytes, git's own left out."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def read_tree() -> Callable[[Path], dict[str, bytes]]:
    """The function `tree`."""
    return tree


@pytest.fixture
def run_git() -> Callable[..., str]:
    """The function `git`."""
    return git
