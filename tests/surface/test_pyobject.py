"""docs/getting-started-pybind.md shows how pybind11 passes stable tensors: what it shows compiles with torch 2.14."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.compile

MODULE = """\
#include <optional>
#include <vector>

#include "stable_pybind.h"

using torch::stable::Tensor;

Tensor first(const Tensor& x, const std::optional<Tensor>& other) { return other ? *other : x; }
std::vector<Tensor> turned(const std::vector<Tensor>& xs) { return {xs.rbegin(), xs.rend()}; }

PYBIND11_MODULE(bound, m) {
  m.def("first", &first, pybind11::arg("x"), pybind11::arg("other") = pybind11::none());
  m.def("turned", &turned);
}
"""


def shown() -> str:
    """The header that the page shows."""
    text = (ROOT / "docs/getting-started-pybind.md").read_text()
    blocks: list[str] = re.findall(r"```cpp\n(.*?)```", text, re.DOTALL)
    (header,) = [code for code in blocks if "type_caster" in code]
    return header


def test_the_header_of_the_page_compiles(
    tmp_path: Path, release_tree: Path, torch_include: Path, compiler: str
) -> None:
    if not (release_tree / "torch/csrc/stable/pyobject.h").exists():
        pytest.skip("torch before 2.14 passes no Python objects")
    (tmp_path / "stable_pybind.h").write_text(shown())
    (tmp_path / "bound.cpp").write_text(MODULE)
    (tmp_path / "include").mkdir()
    (tmp_path / "include/pybind11").symlink_to(torch_include.resolve() / "pybind11")
    subprocess.run(
        [
            compiler, "-std=c++20", "-fsyntax-only", "-DTORCH_TARGET_VERSION=0x020e000000000000ULL",
            f"-I{release_tree}", "-Iinclude", f"-I{sysconfig.get_paths()['include']}", "bound.cpp",
        ],
        cwd=tmp_path, check=True,
    )  # fmt: skip
