"""`migrate --compile`: an error of the compiler is a finding at the place before the migration, and exit code 1."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from torch_stabilize.verify import codes
from torch_stabilize.verify.front_end import Compilers

from tests.conftest import Run, commit_all

UNIT = """\
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include "loud.h"

at::Tensor loud(const at::Tensor& x) {
  at::Tensor out = at::empty_like(x);
  const float by = HEIGHT;
  for (int64_t i = 0; i < x.numel(); ++i) out.mutable_data_ptr<float>()[i] = x.const_data_ptr<float>()[i] * by;
  return out;
}

TORCH_LIBRARY(amp, m) {
  m.def("loud(Tensor x) -> Tensor");
  m.impl("loud", c10::kCPU, &loud);
}
"""
CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(amp LANGUAGES CXX)
find_package(Torch REQUIRED)
Python_add_library(_C MODULE USE_SABI 3.10 WITH_SOABI csrc/loud.cpp csrc/kept.cpp)
target_compile_definitions(_C PRIVATE {defined})
target_link_libraries(_C PRIVATE ${{TORCH_LIBRARIES}})
"""

pytestmark = [pytest.mark.compile, pytest.mark.torch]


def project(root: Path, defined: str = "HEIGHT=3", header: str = "") -> Path:
    (root / "csrc").mkdir()
    (root / "csrc/loud.cpp").write_text(UNIT)
    (root / "csrc/kept.cpp").write_text(
        "#include <ATen/core/Tensor.h>\nint64_t kept(const at::Tensor& x) { return x.dim(); }\n"
    )
    (root / "csrc/loud.h").write_text("#pragma once\n" + header)
    (root / "CMakeLists.txt").write_text(CMAKE.format(defined=defined))
    commit_all(root, "legacy")
    return root


def test_a_plan_that_compiles_has_no_finding(tmp_path: Path, run_cli: Run) -> None:
    ran = run_cli("migrate", "csrc/loud.cpp", "--target", "2.11", "--compile", "--json", cwd=project(tmp_path))
    assert codes.PLAN_DOES_NOT_COMPILE not in ran.out
    assert ran.code == 0, ran.err


def test_an_error_is_told_at_the_place_before_the_migration(tmp_path: Path, run_cli: Run) -> None:
    root = project(tmp_path, "LOUD")  # HEIGHT, which the unit needs, is defined nowhere
    ran = run_cli("migrate", "csrc/loud.cpp", "--target", "2.11", "--compile", "--json", cwd=root)
    assert ran.code == 1, ran.err
    found = [one for one in json.loads(ran.out)["findings"] if one["code"] == codes.PLAN_DOES_NOT_COMPILE]
    (one,) = found
    assert (one["concern"], one["place"]["path"], one["place"]["line"]) == ("manual", "csrc/loud.cpp", 8)
    assert "HEIGHT" in one["message"]
    assert not (root / "csrc/libtorch_stable").exists()


def test_who_stops_a_run_ends_its_compilers(tmp_path: Path) -> None:
    compilers = Compilers()
    begun = time.monotonic()
    (tmp_path / "child.sh").write_text("sleep 60 & echo $! > child; wait\n")

    def interrupted() -> None:
        with ThreadPoolExecutor(1) as pool, compilers.stopped_early():
            pool.submit(compilers.run, ["/bin/sh", "child.sh"], tmp_path)
            while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - begun < 30
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    deadline = time.monotonic() + 10
    while child.exists() and child.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not child.exists() or child.read_text().split()[2] == "Z"
    assert compilers.run(["/bin/sh", "-c", "exit 3"], tmp_path) == (0, ""), "none starts any more"
    assert Compilers().run(["/bin/sh", "-c", "echo no; exit 3"], tmp_path) == (3, "no\n")
