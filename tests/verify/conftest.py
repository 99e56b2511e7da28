"""A group before and after its migration (`pair/`), laid out as a repository and verified once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch_stabilize.repository.snapshot import open_snapshot
from torch_stabilize.verify.group import Request, verify_group
from torch_stabilize.verify.result import Step, Verification

from tests.conftest import commit_all

PAIR = Path(__file__).parent / "pair"

# A unit that stays legacy, and the header that it shares with others: the migration edits the header.
REMAINDER = {
    "csrc/shift.cpp": """\
#include "common.h"
#include <torch/library.h>

// x += by, element by element.
void shift(at::Tensor& x, double by) {
  check_float(x);
  for (int64_t i = 0; i < x.numel(); ++i) x.mutable_data_ptr<float>()[i] += static_cast<float>(by);
}

TORCH_LIBRARY_FRAGMENT(scaling, m) {
  m.def("shift(Tensor! x, float by) -> ()");
  m.impl("shift", c10::kCPU, &shift);
}
""",
    "csrc/common.h": """\
#pragma once
#include <ATen/core/Tensor.h>

inline void check_float(const at::Tensor& x) { TORCH_CHECK(x.scalar_type() == at::kFloat, "not float"); }
""",
}
EDITED_HEADER = """\
#pragma once
#ifdef TORCH_TARGET_VERSION
  #include <torch/csrc/stable/tensor.h>
#else
  #include <ATen/core/Tensor.h>
#endif

#ifndef TORCH_TARGET_VERSION
inline void check_float(const at::Tensor& x) { TORCH_CHECK(x.scalar_type() == c10::kFloat, "not float"); }
#endif
"""
LEFT = "Python_add_library(_C MODULE USE_SABI 3.10 WITH_SOABI csrc/shift.cpp)\n"


@dataclass(frozen=True)
class PairRepository:
    """The pair as a git repository: the last commit is legacy, the work tree is stable."""

    root: Path

    def verify(self, **more: object) -> Verification:
        """`verify scale`, with the objects of earlier calls where they are up to date."""
        request = Request(("scale",), target="2.11", golden=PAIR / "golden", **more)  # type: ignore[arg-type]
        return verify_group(open_snapshot(self.root), request)

    def plant(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must be there once, in a file of the work tree."""
        file = self.root / path
        text = file.read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
        file.write_text(text.replace(old, new))

    def restore(self) -> None:
        """Make the work tree the stable side again, touching what differs alone."""
        stable = PAIR / "stable"
        files = {str(path.relative_to(stable)): path.read_text() for path in stable.rglob("*") if path.is_file()}
        files["CMakeLists.txt"] += LEFT
        for name, text in {**files, **REMAINDER, "csrc/common.h": EDITED_HEADER}.items():
            place = self.root / name
            if not place.exists() or place.read_text() != text:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)


def step(verification: Verification, name: str) -> Step:
    """The step called `name`."""
    return next(found for found in verification.steps if found.name == name)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> PairRepository:
    """The repository, not yet built."""
    root = tmp_path_factory.mktemp("pair")
    shutil.copytree(PAIR / "legacy", root, dirs_exist_ok=True)
    for name, text in REMAINDER.items():
        (root / name).write_text(text)
    cmake = (root / "CMakeLists.txt").read_text()
    (root / "CMakeLists.txt").write_text(
        cmake.replace("csrc/scale_kernels.cu)", "csrc/scale_kernels.cu csrc/shift.cpp)")
    )
    commit_all(root, "legacy")
    for path in ("csrc/scale.cpp", "csrc/scale_kernels.cu"):
        (root / path).unlink()
    repository = PairRepository(root)
    repository.restore()
    return repository


@pytest.fixture(scope="session")
def verified(pair: PairRepository) -> Verification:
    """The pair as it is: nothing but the ABI changed."""
    return pair.verify()
